"""What the forkserver has imported before the first rank is forked: all that a rank needs, and nothing that it does not use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import gang
from finetune_api.load import load_job
from finetune_trainer.launcher import warm
from finetune_trainer.launcher.preload import ENV_PLAN

PROBE = """
import json, sys
import finetune_trainer.launcher.preload
print(json.dumps(sorted({name.partition(".")[0] for name, module in sys.modules.items() if module})))
"""
NEVER = set("datasets pandas pyarrow matplotlib tensorboard sklearn scipy deepspeed trl typer kubernetes".split())


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_a_rank_imports_nothing_that_it_does_not_use(tmp_path: Path, method: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(gang.job(tmp_path, tmp_path / "data.jsonl", {"method": method})))
    plan = warm.choose(load_job(path))
    env = os.environ | {ENV_PLAN: json.dumps({"hide": plan.hidden, "modules": plan.modules})}
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, env=env)
    imported = set(json.loads(done.stdout))
    assert {"torch", "transformers", "accelerate", "numpy", "safetensors"} <= imported
    assert not imported & NEVER
    assert ("peft" in imported) == (method != "full")
    assert ("bitsandbytes" in imported) == (method == "qlora")
    assert "warning" not in done.stderr


def test_a_rank_under_deepspeed_finds_it_imported(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    distributed = {"strategy": "deepspeed", "deepspeed": {"preset": "zero2"}}
    path.write_text(yaml.safe_dump(gang.job(tmp_path, tmp_path / "data.jsonl", {}, distributed=distributed)))
    assert "deepspeed" in warm.choose(load_job(path)).modules
