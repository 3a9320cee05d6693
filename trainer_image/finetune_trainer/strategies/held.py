"""How many bytes of weights and optimizer this rank holds, read from the tensors, whatever library has made and cut them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Held:
    """Bytes on this rank, on whatever device.

    Attributes:
        weights: what the forward pass reads, frozen weights included.
        optimizer: its state, and the copy of the weights that it keeps for itself, if any.
    """

    weights: int
    optimizer: int


def held_bytes(model: Any, optimizer: Any) -> Held:
    """Call it between two steps, when nothing is gathered. Memory that several tensors share counts once, and as a weight."""
    while hasattr(optimizer, "optimizer"):  # accelerate's and DeepSpeed's wrappers; innermost is torch's.
        optimizer = optimizer.optimizer
    weights = _storages(_weights(model))
    copies = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states = [tensor for state in optimizer.state.values() for tensor in state.values() if hasattr(tensor, "untyped_storage")]
    others = _storages([*copies, *optimizer.state, *states])
    return Held(sum(weights.values()), sum(size for place, size in others.items() if place not in weights))


def _weights(model: Any) -> Iterator[Any]:
    for parameter in model.parameters():
        yield parameter
        if hasattr(parameter, "ds_tensor"):  # ZeRO-3 leaves nothing in the parameter itself.
            yield parameter.ds_tensor


def _storages(tensors: Iterable[Any]) -> dict[int, int]:
    """Address -> bytes."""
    local = (tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors)
    storages = [tensor.untyped_storage() for tensor in local]
    return {storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()}
