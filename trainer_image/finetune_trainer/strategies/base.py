"""What the rank asks of a strategy. Everything that differs between DDP, DeepSpeed and FSDP is behind this protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Strategy(Protocol):
    """One way to share the work.

    `trainer` is the rank's transformers.Trainer. Folders are those of a checkpoint; all ranks call save and load at the same time,
    and each writes files that no other rank writes.
    """

    name: str

    def arguments(self) -> dict[str, Any]:
        """TrainingArguments that put the strategy in force."""
        ...

    def check_in_force(self, trainer: Any, world_size: int) -> None:
        """Called once before the first step.

        Raises:
            UserError: NotInForce, when the wrapped model is not what was asked for.
        """
        ...

    def save(self, trainer: Any, folder: Path) -> None:
        """Write what training has changed: weights, optimizer, scheduler, gradient scaler."""
        ...

    def load_model(self, trainer: Any, folder: Path) -> None:
        """Read the weights back, before the model is wrapped."""
        ...

    def load_optimizer(self, trainer: Any, folder: Path) -> None:
        """Read optimizer, scheduler and gradient scaler back, after everything is wrapped."""
        ...
