"""What training has changed, as pieces of parameters: one format for every strategy and any number of ranks.

A piece is a run of elements of one parameter, flattened in row-major order: its weights and its optimizer state. DDP has one whole
piece for each parameter, ZeRO and FSDP one on each rank. Each rank writes those it owns; whoever loads reads the elements it needs
from whatever files they are in. So a checkpoint fits every world size and every preset, and whole parameters can be put together
without a collective.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from finetune_trainer.errors import UserError

_PREFIX = "pieces-"
#: In `Piece.tensors`: the weights. Every other name is one of the optimizer's: exp_avg, exp_avg_sq, step, ...
VALUE = "value"


@dataclass(frozen=True)
class Piece:
    """Elements [start, start + length) of a parameter.

    Attributes:
        name: of the parameter, in the plain model.
        shape: of the whole parameter.
        start: first element.
        tensors: VALUE first; tensors of its shape are element-wise and may be cut, others (a step count) belong to the parameter.
    """

    name: str
    shape: tuple[int, ...]
    start: int
    tensors: dict[str, Any]

    @property
    def length(self) -> int:
        """Number of elements."""
        return int(self.tensors[VALUE].numel())


class _Place(NamedTuple):
    """Where a piece is stored."""

    file: str
    start: int
    length: int
    elementwise: tuple[str, ...]
    others: tuple[str, ...]


@dataclass
class _Parameter:
    shape: tuple[int, ...]
    places: list[_Place] = field(default_factory=list)


def write_pieces(folder: Path, rank: int, pieces: Iterable[Piece]) -> None:
    """Write this rank's pieces; a rank that has none writes nothing."""
    from safetensors.torch import save_file

    tensors, index = {}, []
    for piece in pieces:
        shape = piece.tensors[VALUE].shape
        elementwise = [name for name, tensor in piece.tensors.items() if tensor.shape == shape]
        others = [name for name in piece.tensors if name not in elementwise]
        for name, tensor in piece.tensors.items():
            # What belongs to several parameters, as a step count of ZeRO's does, is written for each.
            flat = tensor.detach().reshape(-1) if name in elementwise else tensor.detach().clone()
            tensors[_key(piece.name, piece.start, name)] = flat.contiguous()
        index.append([piece.name, list(piece.shape), piece.start, piece.length, elementwise, others])
    if index:
        save_file(tensors, str(folder / f"{_PREFIX}{rank:05d}.safetensors"))
        (folder / f"{_PREFIX}{rank:05d}.json").write_text(json.dumps(index))


class SavedPieces:
    """The pieces that all ranks have written into a folder. Only what is asked for is read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Any] = {}

    @cached_property
    def _parameters(self) -> dict[str, _Parameter]:
        found: dict[str, _Parameter] = {}
        for path in sorted(self._folder.glob(f"{_PREFIX}*.json")):
            for name, shape, start, length, elementwise, others in json.loads(path.read_text()):
                parameter = found.setdefault(name, _Parameter(tuple(shape)))
                parameter.places.append(_Place(path.stem, start, length, tuple(elementwise), tuple(others)))
        return found

    def __iter__(self) -> Iterator[str]:
        """Names of the parameters."""
        return iter(self._parameters)

    def read(self, name: str, start: int, length: int) -> dict[str, Any]:
        """The tensors of these elements: flat where element-wise, as they were saved otherwise.

        Raises:
            UserError: ResumeMismatch, when they are not all there.
        """
        import torch

        if name not in self._parameters:
            raise UserError(
                "ResumeMismatch",
                f"Checkpoint {self._folder.name} has no parameter {name}.",
                "It was written with another model or method: go back to the old setting, or use another output folder.",
            )
        found: dict[str, list[Any]] = {}
        result: dict[str, Any] = {}
        reached = start
        for place in sorted(self._parameters[name].places, key=lambda place: place.start):
            low, high = max(reached, place.start), min(start + length, place.start + place.length)
            if low >= high:
                continue
            if low != reached:
                break
            for key in place.elementwise:
                stored = self._open(place.file).get_slice(_key(name, place.start, key))
                found.setdefault(key, []).append(stored[low - place.start : high - place.start])
            for key in place.others:
                result[key] = self._open(place.file).get_tensor(_key(name, place.start, key))
            reached = high
        if reached != start + length:
            raise UserError(
                "ResumeMismatch",
                f"Checkpoint {self._folder.name} has elements up to {reached} of {name}, {start + length} are needed.",
                "It was written with another model: go back to the old setting, or use another output folder.",
            )
        return {key: torch.cat(parts) if len(parts) > 1 else parts[0] for key, parts in found.items()} | result

    def whole(self, name: str) -> Any:
        """The weights of a parameter, in its shape."""
        shape = self._parameters[name].shape
        return self.read(name, 0, prod(shape))[VALUE].reshape(shape)

    def _open(self, file: str) -> Any:
        from safetensors import safe_open

        if file not in self._files:
            self._files[file] = safe_open(str(self._folder / f"{file}.safetensors"), framework="pt")
        return self._files[file]


def _key(name: str, start: int, tensor: str) -> str:
    return f"{name}[{start}].{tensor}"
