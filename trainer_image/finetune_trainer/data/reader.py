"""The rows that ranks train on, memory-mapped. Imports numpy and the standard library only: every rank imports this.

A plan folder (written by plan.py) names folders of tokens (written by tokens.py) and says which of their samples make up each row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

#: Label of a token that carries no loss.
NO_LOSS = -100


@dataclass(frozen=True)
class Row:
    """One row of a batch.

    Attributes:
        input_ids: int32[L].
        labels: int32[L]; NO_LOSS where no loss is taken, always at the first token of each sample.
        lengths: tokens of each sample in the row; their sum is L.
        samples: ids of the samples, unique over an epoch: a sample that is used twice has two.
    """

    input_ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    lengths: tuple[int, ...]
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Origin:
    """Where a sample came from.

    Attributes:
        source: the source's URI.
        file: path of its file, or the hub data set.
        row: from 0 within the file.
        line: from 1, for files of lines; else None.
    """

    source: str
    file: str
    row: int
    line: int | None

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}" if self.line is None else f"{self.file}:{self.line}"


class _Tokens:
    """One folder of tokens: all samples of one source."""

    def __init__(self, folder: Path) -> None:
        self.ids, self.trained, self.bounds, self.origins = (
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("ids", "trained", "bounds", "origins")
        )


class Rows(Sequence[Row]):
    """The rows of one split; a sequence that reads each row when it is asked for."""

    def __init__(self, folder: Path, split: str, sources: Sequence[dict[str, Any]]) -> None:
        self._sources = sources
        self._tokens = [_Tokens(folder / source["tokens"]) for source in sources]
        #: (source, sample within its folder) of each use of a sample, in the order of the rows.
        self._uses = np.load(folder / f"{split}_uses.npy", mmap_mode="r", allow_pickle=False)
        #: Row i holds the uses bounds[i] to bounds[i + 1].
        self._bounds = np.load(folder / f"{split}_bounds.npy", mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        samples = tuple(range(*self._bounds[index % len(self) :][:2].tolist()))
        pieces = [self.sample(sample) for sample in samples]
        return Row(
            input_ids=np.concatenate([ids for ids, _ in pieces]),
            labels=np.concatenate([np.where(trained, ids, np.int32(NO_LOSS)) for ids, trained in pieces]),
            lengths=tuple(len(ids) for ids, _ in pieces),
            samples=samples,
        )

    @property
    def samples(self) -> int:
        """Number of samples in all rows; their ids are 0 to samples - 1."""
        return len(self._uses)

    def sample(self, sample: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Tokens of the sample with this id, and which of them are trained."""
        number, inside = self.identity(sample)
        tokens = self._tokens[number]
        start, end = tokens.bounds[inside : inside + 2].tolist()
        return tokens.ids[start:end], tokens.trained[start:end]

    def identity(self, sample: int) -> tuple[int, int]:
        """What two uses of the same sample have in common: source, and number within it. The same in both splits."""
        number, inside = self._uses[sample].tolist()
        return number, inside

    def origin(self, sample: int) -> Origin:
        """Where the sample with this id (see Row.samples) came from."""
        number, inside = self.identity(sample)
        source = self._sources[number]
        file, row, line = self._tokens[number].origins[inside].tolist()
        return Origin(source["uri"], source["files"][file], row, line if line >= 0 else None)

    def row_lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, without reading them; int64[len(self)]."""
        lengths = np.zeros(len(self._uses) + 1, dtype=np.int64)
        for number, tokens in enumerate(self._tokens):
            mine = np.flatnonzero(self._uses[:, 0] == number)
            inside = self._uses[mine, 1]
            lengths[mine + 1] = tokens.bounds[inside + 1] - tokens.bounds[inside]
        found: NDArray[np.int64] = np.diff(np.cumsum(lengths)[self._bounds])
        return found


@dataclass(frozen=True)
class PreparedRows:
    """Both splits; eval is None when nothing is set aside."""

    train: Rows
    eval: Rows | None


def open_rows(folder: Path) -> PreparedRows:
    """The rows of a plan folder (PreparedData.folder, Prepared.data)."""
    meta = json.loads((folder / "meta.json").read_text())
    splits = {split: Rows(folder, split, meta["sources"]) for split in meta["splits"]}
    return PreparedRows(splits["train"], splits.get("eval"))
