"""What is saved is read again by plain libraries and compared."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_api.spec import Lora, Model, Training
from finetune_trainer.model.adapter import add_adapter
from finetune_trainer.model.load import load_model
from finetune_trainer.model.merge import copy_model, merge_adapter
from finetune_trainer.model.save import save_pretrained
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import LocalModel

IDS = torch.arange(60).reshape(3, 20)


def trained(folder: Path, method: str = "lora", **lora: Any) -> Any:
    """A model as it might be after training: its adapter, or all of it, moved from where it started."""
    training = Training(method=method, precision="fp32", lora=Lora(**lora))
    model = add_adapter(load_model(LocalModel(str(folder), None, "acme/tiny"), Model(source="file:///x"), training), training)
    with torch.no_grad():
        for number, parameter in enumerate(p for p in model.parameters() if p.requires_grad):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)), alpha=0.05)
    return model.eval()


def save(model: Any, base: Path, dest: Path) -> Path:
    save_pretrained(model, load_tokenizer(LocalModel(str(base), None, "acme/tiny"), False), dest)
    return dest


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
def test_adapter_round_trip(models: Path, tmp_path: Path, family: str) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = trained(models / family)
    folder = save(model, models / family, tmp_path / "out")
    again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(models / family), folder)
    assert torch.equal(logits(again), logits(model))
    assert {p.name for p in folder.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "acme/tiny"


def test_a_model_card_that_is_there_is_kept(models: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("ours")
    save(trained(models / "llama"), models / "llama", tmp_path)
    assert (tmp_path / "README.md").read_text() == "ours"


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
def test_whole_model_round_trip(models: Path, tmp_path: Path, family: str) -> None:
    from transformers import AutoModelForCausalLM

    model = trained(models / family, "full")
    folder = save(model, models / family, tmp_path / "out")
    again = AutoModelForCausalLM.from_pretrained(folder)
    assert torch.equal(logits(again), logits(model))
    assert again.config.use_cache is True
    assert model.config.use_cache is False
    assert again.generation_config.eos_token_id == 2


def test_files_are_readable_by_others(models: Path, tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        folder = save(trained(models / "llama"), models / "llama", tmp_path / "out")
    finally:
        os.umask(previous)
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o644}


def test_generation_stops_at_every_end_of_turn(models: Path, tmp_path: Path) -> None:
    model = trained(models / "llama", "full")
    model.generation_config.eos_token_id = [0]
    folder = save(model, models / "llama", tmp_path / "out")
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [0, 2]


def test_generation_settings_that_transformers_refuses_to_save(models: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(models / "llama", tmp_path / "m"))
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "temperature": 0.6, "top_p": 0.9}))
    folder = save(trained(base, "full"), base, tmp_path / "out")
    assert json.loads((folder / "generation_config.json").read_text())["temperature"] == 0.6


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("lora", [{}, {"use_rslora": True, "target_modules": ["q_proj", "down_proj"]}])
def test_merged_model_has_the_same_logits(models: Path, tmp_path: Path, family: str, lora: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = trained(models / family, **lora)
    base = LocalModel(str(models / family), None, "acme/tiny")
    merge_adapter(save(model, models / family, tmp_path / "out"), base, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    untrained = AutoModelForCausalLM.from_pretrained(models / family)
    assert (logits(merged) - logits(model)).abs().max() < 1e-5
    assert (logits(untrained) - logits(model)).abs().max() > 1e-2
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
    assert merged.config.use_cache is True


@pytest.mark.parametrize(("stored", "asked", "expected"), [("bfloat16", "auto", "bfloat16"), ("bfloat16", "float16", "float16")])
def test_type_of_the_merged_model(models: Path, tmp_path: Path, stored: str, asked: str, expected: str) -> None:
    from safetensors.torch import load_file

    copy_model(LocalModel(str(models / "llama"), None, "acme/tiny"), tmp_path / "base", stored)
    output = save(trained(models / "llama"), models / "llama", tmp_path / "out")
    merge_adapter(output, LocalModel(str(tmp_path / "base"), None, "acme/tiny"), tmp_path / "merged", asked)
    assert {t.dtype for t in load_file(tmp_path / "merged" / "model.safetensors").values()} == {getattr(torch, expected)}
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == expected


def test_no_hub_is_asked_while_saving(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEFT wants to compare vocabularies with the base model's repository, which would hang where there is no network."""
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail(f"connects to {a[1]}"))
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: pytest.fail(f"asks for {a[0]}"))
    save(trained(models / "llama"), models / "llama", tmp_path / "out")
