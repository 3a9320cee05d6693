"""The packing self-test must see a leak, and must not see one where there is none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from finetune_trainer.errors import UserError
from finetune_trainer.model.load import load_weights
from finetune_trainer.model.packing import check_packing, packing_refusal
from finetune_trainer.prepared import LocalModel
from tiny import make_config


def load(folder: Path, dtype: str = "float32", attention: str = "auto", use_cache: bool = False) -> Any:
    model = load_weights(LocalModel(str(folder), None, "acme/tiny"), dtype, attention)
    model.config.use_cache = use_cache
    return model


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_attention_layers_do_not_leak(models: Path, family: str, attention: str, dtype: str) -> None:
    model = load(models / family, dtype, attention).train()
    check_packing(model, "cpu")
    assert model.training


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cache_leaks_and_is_seen(models: Path, family: str, dtype: str) -> None:
    with pytest.raises(UserError) as caught:
        check_packing(load(models / family, dtype, use_cache=True), "cpu")
    assert caught.value.reason == "PackingLeaks"
    assert "packing: false" in caught.value.hint


def test_losses_that_are_no_numbers_are_not_taken_for_no_leak(models: Path) -> None:
    model = load(models / "llama")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="see each other"):
        check_packing(model, "cpu")


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
def test_attention_configs_are_accepted(family: str) -> None:
    assert packing_refusal(make_config(family)) is None


@pytest.mark.parametrize(
    "config",
    [
        SimpleNamespace(model_type="qwen3_next", layer_types=["linear_attention", "full_attention"]),
        SimpleNamespace(model_type="lfm2", layer_types=["conv", "full_attention"]),
        SimpleNamespace(model_type="jamba", layers_block_type=["mamba", "attention"]),
        SimpleNamespace(model_type="falcon_h1", mamba_d_ssm=1024),
        SimpleNamespace(model_type="rwkv"),
    ],
)
def test_recurrent_configs_are_refused(config: Any) -> None:
    refusal = packing_refusal(config)
    assert refusal is not None
    assert config.model_type in refusal


def test_recurrent_configs_of_transformers_are_refused() -> None:
    from transformers import AutoConfig

    for name in (
        "mamba",
        "mamba2",
        "falcon_mamba",
        "jamba",
        "bamba",
        "zamba2",
        "falcon_h1",
        "qwen3_next",
        "lfm2",
        "recurrent_gemma",
    ):
        assert packing_refusal(AutoConfig.for_model(name)), name
    for name in ("llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "gemma2", "phi3", "olmo2", "gpt_oss", "mixtral", "gpt2"):
        assert packing_refusal(AutoConfig.for_model(name)) is None, name
