"""What a person should know about prepared rows before training on them: lengths, copies, and signs of a mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.reader import Origin, PreparedRows, Rows


def sample_lengths(rows: Rows) -> NDArray[np.int64]:
    """Tokens of each sample, each counted once however often it is used."""
    return np.array([len(rows.sample(number)[0]) for number in _distinct(rows)], dtype=np.int64)


def histogram(lengths: NDArray[np.int64], bins: int = 10) -> list[tuple[int, int, int]]:
    """(shortest, longest, how many) for equally wide ranges of lengths."""
    low, high = int(lengths.min()), int(lengths.max())
    width = max(1, -(-(high - low + 1) // bins))
    counts = np.bincount((lengths - low) // width)
    return [(low + index * width, min(low + (index + 1) * width - 1, high), int(count)) for index, count in enumerate(counts)]


def warnings(rows: PreparedRows, counts: Mapping[str, Any], stop_ids: Collection[int], bos_id: int | None) -> list[str]:
    """Lines about what is probably not meant.

    Args:
        counts: PreparedData.counts.
        stop_ids: the tokens after which generation stops.
        bos_id: the begin-of-text token, if there is one.
    """
    seen, copies = _copies(rows.train)
    lines = [
        _copies_line(copies, "training samples are exact copies of another one"),
        _copies_line(_overlap(rows.eval, seen), "evaluation samples are also in training") if rows.eval else "",
        _stop_line(rows.train, stop_ids),
        _bos_line(rows.train, bos_id),
        _cut_line(counts),
    ]
    return [line for line in lines if line]


def _distinct(rows: Rows) -> Iterator[int]:
    """One id for each sample that is used."""
    known = set()
    for number in range(rows.samples):
        identity = rows.identity(number)
        if identity not in known:
            known.add(identity)
            yield number


def _fingerprint(rows: Rows, number: int) -> bytes:
    return hashlib.sha256(rows.sample(number)[0].tobytes()).digest()


def _copies(rows: Rows) -> tuple[dict[bytes, Origin], list[tuple[Origin, Origin]]]:
    """The first sample with each content, and (copy, first) for the others."""
    first: dict[bytes, Origin] = {}
    copies = []
    for number in _distinct(rows):
        origin, fingerprint = rows.origin(number), _fingerprint(rows, number)
        if fingerprint in first:
            copies.append((origin, first[fingerprint]))
        else:
            first[fingerprint] = origin
    return first, copies


def _overlap(rows: Rows, train: Mapping[bytes, Origin]) -> list[tuple[Origin, Origin]]:
    """(evaluation sample, training sample) of the same content."""
    prints = ((rows.origin(number), _fingerprint(rows, number)) for number in _distinct(rows))
    return [(origin, train[fingerprint]) for origin, fingerprint in prints if fingerprint in train]


def _copies_line(pairs: list[tuple[Origin, Origin]], what: str) -> str:
    return f"{len(pairs)} {what}, for example {pairs[0][0]} and {pairs[0][1]}." if pairs else ""


def _stop_line(rows: Rows, stop_ids: Collection[int]) -> str:
    wanted = np.fromiter(stop_ids, dtype=np.int32)
    for number in _distinct(rows):
        ids, trained = rows.sample(number)
        if np.isin(ids[trained], wanted).any():
            return ""
    return (
        "No stop token carries loss in any sample: the model does not learn where to stop (see dataset.trainEndOfTurn, maxLength)."
    )


def _bos_line(rows: Rows, bos_id: int | None) -> str:
    heads = [rows.sample(number)[0][:2].tolist() for number in range(min(rows.samples, 100))]
    doubled = bos_id is not None and any(head == [bos_id, bos_id] for head in heads)
    return "Samples begin with two begin-of-text tokens: the chat template and the text both write one." if doubled else ""


def _cut_line(counts: Mapping[str, Any]) -> str:
    cut = sum(counts.get(name, 0) for name in ("turns_cut", "answer_cut", "too_long"))
    read = counts["read"]
    return f"Most rows are too long for maxLength: {cut} of {read} were cut or dropped." if cut * 2 > read else ""
