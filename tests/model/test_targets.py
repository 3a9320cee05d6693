"""Names of LoRA's target modules, checked by the headers of the weights alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune_api.spec import Lora, Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.targets import check_targets_early


def check(folder: Path, *targets: str, **training: Any) -> None:
    check_targets_early(folder, Training(lora=Lora(target_modules=list(targets)), **training), "file:///m")


def test_names_that_exist(models: Path) -> None:
    check(models / "llama", "q_proj", "layers.1.mlp.down_proj", "embed_tokens", "lm_head")
    check(models / "qwen3", "lm_head")  # Tied: it has no weights of its own, and the rank says why that is no target.
    check(models / "llama", "all-linear")


@pytest.mark.parametrize("target", ["q_porj", "proj", "layers.7.mlp.down_proj", "input_layernorm"])
def test_names_that_match_nothing(models: Path, target: str) -> None:
    with pytest.raises(UserError) as caught:
        check(models / "llama", "v_proj", target)
    assert f"file:///m has no module '{target}'" in caught.value.message
    assert "It has: down_proj, embed_tokens, gate_proj, k_proj, lm_head" in caught.value.hint
