"""Which modules get an adapter: names in spec.training.lora.targetModules that match nothing are refused. No torch here."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from finetune_api.spec import ALL_LINEAR, Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.files import weight_shapes


def check_targets(modules: Collection[str], targets: Collection[str], what: str) -> None:
    """Compare the names with those of the modules that can have an adapter.

    Args:
        modules: dotted names.
        what: how to name the model.

    Raises:
        UserError: BadTargetModules, listing what exists.
    """
    leaves = sorted({name.rpartition(".")[2] for name in modules})
    for target in targets:
        if any(name == target or name.endswith(f".{target}") for name in modules):
            continue
        near = get_close_matches(target, leaves, 1)
        hint = (f"Did you mean {near[0]}? " if near else "") + f"It has: {', '.join(leaves)}."
        raise UserError("BadTargetModules", f"training.lora.targetModules: {what} has no module {target!r}.", hint)


def check_targets_early(folder: Path, training: Training, what: str) -> None:
    """The same before any process group exists, by the names of the matrices in the weights' headers.

    Raises:
        UserError: as check_targets.
    """
    targets = training.lora.target_modules
    if training.method == "full" or ALL_LINEAR in targets:
        return
    matrices = [name.removesuffix(".weight") for name, dimensions in weight_shapes(folder).items() if dimensions == 2]
    check_targets(matrices, [target for target in targets if target != "lm_head"], what)  # A tied head has no weights of its own.
