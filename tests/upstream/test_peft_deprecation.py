"""PEFT still asks transformers the old way; when it stops, peft_deprecation.py can go."""

import subprocess
import sys

import tiny

PROBE = """
import sys, warnings
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
if sys.argv[2] == "silence":
    from finetune_trainer.upstream.peft_deprecation import silence
    silence()
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
"""


def warned(folder, mode: str) -> bool:  # type: ignore[no-untyped-def]
    done = subprocess.run([sys.executable, "-c", PROBE, str(folder), mode], capture_output=True, text=True, check=True)
    return "is_gradient_checkpointing" in done.stderr


def test_upstream_still_warns_and_silence_helps(tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = tiny.make_model(tmp_path / "model")
    assert warned(folder, "plain"), "fixed upstream: remove finetune_trainer/upstream/peft_deprecation.py"
    assert not warned(folder, "silence")
