"""LoRA adapters: type, seed, target modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_api.spec import Lora, Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.adapter import add_adapter
from finetune_trainer.model.load import load_weights
from finetune_trainer.prepared import LocalModel


def adapted(folder: Path, dtype: str = "bfloat16", seed: int = 1, **lora: Any) -> Any:
    return add_adapter(load_weights(LocalModel(str(folder), None, "acme/tiny"), dtype), Training(seed=seed, lora=Lora(**lora)))


def test_adapter_is_float32_and_all_that_is_trained(models: Path) -> None:
    model = adapted(models / "llama", dropout=0.1)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(trained) == 2 * 7 * 2  # Layers, linear layers in each, A and B.
    assert all("lora_" in name for name in trained)
    assert {p.dtype for p in trained.values()} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_all_linear_leaves_the_head_out(models: Path) -> None:
    assert not [name for name, _ in adapted(models / "llama").named_modules() if "lm_head.lora" in name]


def test_start_depends_on_the_seed_alone(models: Path) -> None:
    def start(seed: int) -> torch.Tensor:
        torch.rand(seed + 3)
        state = torch.random.get_rng_state()
        model = adapted(models / "llama", seed=seed)
        assert torch.equal(state, torch.random.get_rng_state())
        return torch.cat([p.flatten() for name, p in model.named_parameters() if "lora_A" in name])

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


def test_settings_arrive(models: Path) -> None:
    config = adapted(models / "llama", rank=4, alpha=6.0, dropout=0.25, use_rslora=True, target_modules=["q_proj"]).peft_config[
        "default"
    ]
    assert (config.r, config.lora_alpha, config.lora_dropout, config.use_rslora) == (4, 6.0, 0.25, True)
    assert set(config.target_modules) == {"q_proj"}


def test_method_full_leaves_the_model_alone(models: Path) -> None:
    model = load_weights(LocalModel(str(models / "llama"), None, "acme/tiny"), "float32")
    assert add_adapter(model, Training(method="full")) is model


def test_targets_that_match_nothing(models: Path) -> None:
    with pytest.raises(UserError) as caught:
        adapted(models / "llama", target_modules=["q_proj", "v_porj"])
    assert caught.value.reason == "BadTargetModules"
    assert "'v_porj'" in caught.value.message
    assert "Did you mean v_proj?" in caught.value.hint
    assert "gate_proj" in caught.value.hint


def test_a_shared_head_cannot_have_an_adapter(models: Path) -> None:
    with pytest.raises(UserError, match="shares its weight"):
        adapted(models / "qwen3", target_modules=["lm_head"])
    adapted(models / "llama", target_modules=["lm_head"])
