"""The yardsticks: for each preset the loop that one would write by hand with the same library, and its own checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class Wrapped(Protocol):
    """A model in the hands of a library, with torch's AdamW.

    Attributes:
        model: what the forward pass is called on.
        optimizer: torch's, or the library's around it.
    """

    model: Any
    optimizer: Any

    def step(self, loss: Any) -> None:
        """Backward, clip the gradient norm to 1, update, forget the gradients."""
        ...

    def save(self, folder: Path) -> None:
        """Write trained weights and optimizer state, so that the library's own `load` can go on from them."""
        ...

    def load(self, folder: Path) -> None:
        """Put them in place again."""
        ...


def wrap(preset: str, make_model: Callable[[], Any], rate: float, batch: int) -> Wrapped:
    """Make the model and wrap it as the preset does. Args: rate: learning rate; batch: rows per rank."""
    if preset == "ddp":
        from bench.strategies.plain.ddp import Ddp

        return Ddp(make_model(), rate)
    if preset == "fsdp1":
        from bench.strategies.plain.fsdp import Fsdp1

        return Fsdp1(make_model(), rate)
    if preset == "fsdp2":
        from bench.strategies.plain.fsdp import Fsdp2

        return Fsdp2(make_model(), rate)
    from bench.strategies.plain.zero import Zero

    return Zero(preset, make_model, rate, batch)


def adamw(model: Any, rate: float) -> Any:
    """torch's AdamW for the trained parameters."""
    import torch

    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.0)
