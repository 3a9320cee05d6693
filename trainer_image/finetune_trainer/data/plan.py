"""The second cached layer: which samples are used, how often, for training or evaluation, and in which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.cache import ArrayFile, cached, key_of, read_meta
from finetune_trainer.data.pack import pack
from finetune_trainer.errors import UserError

#: Raise when the same inputs give another plan than before.
VERSION = 1


@dataclass(frozen=True)
class PlanSource:
    """One source, as far as the plan is concerned.

    Attributes:
        tokens: its folder of tokens (tokens.py).
        weight: uses of each sample in one epoch.
        split: train (from which evalFraction takes its share) or eval.
        uri, files: for the origin of samples.
    """

    tokens: Path
    weight: float
    split: str
    uri: str
    files: list[str]


@dataclass(frozen=True)
class PlanSettings:
    """Everything else that a plan depends on.

    Attributes:
        row_length: most tokens in a row of several samples; None: one sample a row.
    """

    eval_fraction: float
    row_length: int | None
    seed: int


def plan_folder(layer: Path, sources: Sequence[PlanSource], settings: PlanSettings) -> Path:
    """The folder of the plan for these sources; what reader.open_rows opens.

    Raises:
        UserError: NothingToTrain, NothingToEvaluate.
    """
    inputs = {
        "version": VERSION,
        "sources": [[source.tokens.name, source.weight, source.split, source.uri, source.files] for source in sources],
        "eval_fraction": settings.eval_fraction,
        "row_length": settings.row_length,
        "seed": settings.seed,
    }
    return cached(layer, key_of(inputs), lambda folder: _build(folder, sources, settings))


def set_aside(total: int, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which of `total` samples are for evaluation: a fixed random share, at least one, never all. bool[total].

    Raises:
        UserError: NothingToEvaluate, for a positive fraction of fewer than two samples.
    """
    chosen = np.zeros(total, dtype=np.bool_)
    if fraction > 0:
        if total < 2:
            raise UserError("NothingToEvaluate", f"dataset.evalFraction {fraction} of {total} samples leaves none on one side.")
        count = min(max(round(fraction * total), 1), total - 1)
        chosen[np.random.default_rng([seed, 0]).permutation(total)[:count]] = True
    return chosen


def repeated(samples: NDArray[np.int64], weight: float, seed: int, source: int) -> NDArray[np.int64]:
    """Each sample floor(weight) times, and a fixed random share of them, the rest of the weight, once more; ascending."""
    whole = int(weight)
    more = round((weight - whole) * len(samples))
    extra = np.random.default_rng([seed, 1, source]).permutation(samples)[:more]
    return np.sort(np.concatenate([np.repeat(samples, whole), extra]))


def _build(folder: Path, sources: Sequence[PlanSource], settings: PlanSettings) -> dict[str, Any]:
    bounds = [np.load(source.tokens / "bounds.npy", mmap_mode="r", allow_pickle=False) for source in sources]
    counts = [len(ends) - 1 for ends in bounds]
    for_eval = set_aside(
        sum(count for count, source in zip(counts, sources, strict=True) if source.split == "train"),
        settings.eval_fraction,
        settings.seed,
    )
    uses: dict[str, list[NDArray[np.int64]]] = {"train": [], "eval": []}
    before = 0
    for number, (source, count) in enumerate(zip(sources, counts, strict=True)):
        samples = np.arange(count)
        if source.split == "train":
            aside = for_eval[before : before + count]
            uses["eval"].append(_pairs(number, samples[aside]))
            samples, before = samples[~aside], before + count
        uses[source.split].append(_pairs(number, repeated(samples, source.weight, settings.seed, number)))
    splits = {split: np.concatenate(parts) for split, parts in uses.items() if parts and sum(map(len, parts))}
    if "train" not in splits:
        raise UserError("NothingToTrain", "No sample is left to train on.", "Raise dataset.sources[].weight, or add samples.")
    summary = {split: _write(folder, split, chosen, bounds, settings.row_length) for split, chosen in splits.items()}
    listed = [
        {"uri": source.uri, "files": source.files, "tokens": f"../../{source.tokens.parent.name}/{source.tokens.name}"}
        for source in sources
    ]
    return {"splits": list(splits), "sources": listed, "counts": summary}


def _pairs(source: int, samples: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([np.full(len(samples), source, dtype=np.int64), samples], axis=1)


def _write(
    folder: Path, split: str, uses: NDArray[np.int64], bounds: Sequence[NDArray[np.int64]], row_length: int | None
) -> dict[str, int]:
    """Write the rows of one split; returns its counts."""
    lengths = np.zeros(len(uses), dtype=np.int64)
    for number, ends in enumerate(bounds):
        mine = uses[:, 0] == number
        lengths[mine] = np.diff(ends)[uses[mine, 1]]
    rows = pack(lengths.tolist(), row_length) if row_length else [[use] for use in range(len(uses))]
    with ArrayFile(folder / f"{split}_uses.npy", "<i8", 2) as array:
        array.append(uses[[use for row in rows for use in row]])
    with ArrayFile(folder / f"{split}_bounds.npy", "<i8") as array:
        array.append(np.cumsum([0, *map(len, rows)]))
    return {"samples": len(uses), "rows": len(rows), "tokens": int(lengths.sum())}


def plan_counts(folder: Path) -> dict[str, dict[str, int]]:
    """Split -> samples (uses in one epoch), rows, tokens."""
    counts: dict[str, dict[str, int]] = read_meta(folder)["counts"]
    return counts
