"""The model card, and what write_results leaves in the output folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.jobs import a_job
from finetune_api.contract import LOG_FILE, MODEL_CARD_FILE, PLOT_FILE, RESOLVED_JOB_FILE
from finetune_api.load import load_job
from finetune_trainer.prepared import LocalModel, Prepared
from finetune_trainer.results.model_card import model_card
from finetune_trainer.results.summary import library_versions, write_results

LOG = [
    {"current_steps": 1, "total_steps": 3, "loss": 2.0, "throughput": 100.0, "total_tokens": 500},
    {"current_steps": 2, "total_steps": 3, "loss": 1.0, "throughput": 900.0, "total_tokens": 1000},
    {"current_steps": 3, "total_steps": 3, "loss": 1.25, "throughput": 910.0, "total_tokens": 1500},
    {"current_steps": 3, "total_steps": 3, "eval_loss": 1.5},
]
COUNTS = {"read": 1200, "kept": 1100, "truncated": 40, "histogram": [1, 2]}


def prepared(origin: str = "/models/tiny", revision: str | None = None) -> Prepared:
    return Prepared(LocalModel("/models/tiny", None, origin, revision), "/data", COUNTS, ["3 duplicates."])


def front_matter(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


def test_a_hub_model_is_named_as_the_hub_wants_it(tmp_path: Path) -> None:
    data = {"sources": [{"uri": "hf://tatsu-lab/alpaca@main", "format": "alpaca"}, {"uri": "file://b.jsonl", "format": "alpaca"}]}
    job = a_job(tmp_path, model={"source": "hf://Qwen/Qwen3-8B@v1"}, dataset=data)
    card = model_card(job, prepared("Qwen/Qwen3-8B", "abc123"), LOG, {"torch": "2.13.0"})
    assert front_matter(card) == {
        "base_model": "Qwen/Qwen3-8B",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["finetune-operator", "sft", "lora"],
        "datasets": ["tatsu-lab/alpaca"],
    }
    assert "AutoModelForCausalLM.from_pretrained('Qwen/Qwen3-8B', revision='abc123')" in card
    assert "| LoRA | rank 16, alpha 32, dropout 0, on all-linear |" in card


def test_a_local_model_has_no_name_on_the_hub(tmp_path: Path) -> None:
    job = a_job(tmp_path, training={"method": "full", "precision": "fp32"}, distributed={"nodes": 2, "processesPerNode": 2})
    card = model_card(job, prepared(), LOG, {})
    meta = front_matter(card)
    assert "base_model" not in meta and "datasets" not in meta
    assert meta["library_name"] == "transformers"
    assert "PeftModel" not in card and "| LoRA" not in card
    assert "| Global batch | 4 rows = 1 per process x 4 processes x 1 accumulated |" in card


@pytest.mark.parametrize(("gguf", "loaded_in_4_bits"), [(None, True), ("tiny-F32.gguf", False)])
def test_a_base_that_was_in_4_bits_is_loaded_so(tmp_path: Path, gguf: str | None, loaded_in_4_bits: bool) -> None:
    """transformers does not quantise while it reads a GGUF file."""
    model = {"source": "hf://Qwen/Qwen3-8B"} | ({"ggufFile": gguf} if gguf else {})
    job = a_job(tmp_path, model=model, training={"method": "qlora", "precision": "bf16"})
    card = model_card(job, prepared("Qwen/Qwen3-8B"), LOG, {})
    assert front_matter(card)["library_name"] == "peft"
    assert ("quantization_config=four_bit)" in card) == loaded_in_4_bits
    code = card.split("```python\n")[1].split("```")[0]
    exec(code.partition("base = ")[0])  # Imports and settings, as they are written there.
    assert ('bnb_4bit_compute_dtype="bfloat16"' in code) == loaded_in_4_bits
    assert "| LoRA | rank 16" in card and "| Method | qlora |" in card


def test_results_and_counts_are_those_of_the_run(tmp_path: Path) -> None:
    card = model_card(a_job(tmp_path), prepared(), LOG, {"torch": "2.13.0"})
    assert "| Training loss: first, last, best | 2.0000, 1.2500, 1.0000 (step 2) |" in card
    assert "| Evaluation loss: first, last, best | 1.5000, 1.5000, 1.5000 (step 3) |" in card
    assert "| Tokens | 1,500 |" in card and "| Tokens per second (median) | 900 |" in card
    assert "| Read | 1,200 |" in card and "| Truncated | 40 |" in card and "histogram" not in card.lower()
    assert "> 3 duplicates." in card
    assert "torch 2.13.0" in card


def test_no_secret_is_in_the_card(tmp_path: Path) -> None:
    job = a_job(tmp_path, trainer={"env": [{"name": "PROXY_LOGIN", "value": "s3cr3t"}]})
    card = model_card(job, prepared(), [], {})
    assert "PROXY_LOGIN" in card and "s3cr3t" not in card


def test_write_results(tmp_path: Path) -> None:
    job, output = a_job(tmp_path), tmp_path / "out"
    output.mkdir()
    (output / LOG_FILE).write_text('{"current_steps": 1, "total_steps": 1, "loss": 2.0}\n')
    write_results(job, output, prepared())
    assert sorted(path.name for path in output.iterdir()) == sorted([LOG_FILE, MODEL_CARD_FILE, PLOT_FILE, RESOLVED_JOB_FILE])
    assert load_job(output / RESOLVED_JOB_FILE) == job
    assert library_versions()["transformers"] in (output / MODEL_CARD_FILE).read_text()


def test_a_plot_that_fails_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        write_results(a_job(tmp_path), tmp_path, prepared())  # Nothing was logged, so there is nothing to draw.
    assert "could not be drawn" in caplog.text
    assert (tmp_path / MODEL_CARD_FILE).exists()


def test_a_gguf_base_is_loaded_by_its_file(tmp_path: Path) -> None:
    job = a_job(tmp_path, model={"source": "file:///models/small", "ggufFile": "small.Q4_1.gguf"})
    card = model_card(job, prepared("/models/small"), LOG, {})
    assert "AutoModelForCausalLM.from_pretrained('/models/small', gguf_file='small.Q4_1.gguf')" in card
