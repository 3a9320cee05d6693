"""Method qlora: which weights are in 4 bits and how, and that anything else is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BitsAndBytesConfig

from finetune_api.spec import Model, Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.adapter import add_adapter
from finetune_trainer.model.four_bit import check_four_bit, check_installed, four_bit_config, measure, parameter_counts
from finetune_trainer.model.load import load_model, load_weights
from finetune_trainer.prepared import LocalModel


def load(folder: Path, method: str = "qlora", **training: Any) -> Any:
    settings = Training(method=method, **training)
    return add_adapter(load_model(LocalModel(str(folder), None, "acme/tiny"), Model(source="file:///x"), settings), settings)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_linear_layers_are_in_4_bits_and_nothing_else(models: Path, family: str, precision: str) -> None:
    from bitsandbytes.nn import Params4bit

    compute = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    model, plain = load(models / family, precision=precision), load(models / family, "lora", precision=precision)
    check_four_bit(model, str(compute).removeprefix("torch."))
    assert parameter_counts(model) == parameter_counts(plain)
    shapes = {name: parameter.shape for name, parameter in plain.named_parameters()}
    for name, parameter in model.named_parameters():
        if "_proj" in name and "lora_" not in name:
            assert isinstance(parameter, Params4bit)
            assert parameter.numel() * parameter.element_size() == shapes[name].numel() / 2
            assert not parameter.requires_grad
        else:
            assert parameter.dtype == (torch.float32 if "lora_" in name else compute)
    held = measure(model)
    assert held.here == held.total == sum(shape.numel() for name, shape in shapes.items() if "base_layer" in name) // 2
    assert held.others == sum(
        p.numel() * p.element_size() for n, p in plain.named_parameters() if "lora_" not in n and ".base_layer." not in n
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [({"bnb_4bit_quant_type": "fp4"}, "fp4"), ({"bnb_4bit_use_double_quant": False}, "False"), (None, "no layer of the model")],
)
def test_another_kind_of_weights_is_refused(models: Path, change: dict[str, Any] | None, message: str) -> None:
    config = None if change is None else BitsAndBytesConfig(**{**four_bit_config("float32").to_dict(), **change})
    model = load_weights(LocalModel(str(models / "llama"), None, "acme/tiny"), "float32", quantization=config)
    with pytest.raises(UserError, match=message):
        check_four_bit(model, "float32")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UserError) as refused:
        check_installed()
    assert "pip install 'finetune-operator[qlora]'" in str(refused.value)
