"""Parameters that lie behind each other in a flat buffer, which an optimizer takes for one parameter: as DeepSpeed keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from finetune_trainer.checkpoint.pieces import VALUE, Piece


class Run(NamedTuple):
    """What this rank has of a parameter: `length` elements from `start` on, at `offset` in the buffer `flat`."""

    start: int
    length: int
    offset: int
    flat: Any

    def cut(self, tensor: Any) -> Any:
        """The same elements of a tensor that is as long as the buffer; a step count as it is."""
        return tensor.data.narrow(0, self.offset, self.length) if tensor.shape == self.flat.shape else tensor


def piece(name: str, shape: tuple[int, ...], run: Run, optimizer: Any) -> Piece:
    """The run as a checkpoint has it; `optimizer` is torch's."""
    state = {key: run.cut(tensor) for key, tensor in optimizer.state.get(run.flat, {}).items()}
    return Piece(name, shape, run.start, {VALUE: run.cut(run.flat), **state})


def fill(run: Run, found: Mapping[str, Any], optimizer: Any) -> None:
    """Put what was read into the buffer and the optimizer's state."""
    import torch

    state = optimizer.state[run.flat]
    for key, tensor in found.items():
        if key == VALUE:
            run.cut(run.flat).copy_(tensor)
        elif tensor.dim() == 0:
            state[key] = tensor.clone()
        else:
            if key not in state:
                state[key] = torch.zeros_like(run.flat)
            run.cut(state[key]).copy_(tensor)
