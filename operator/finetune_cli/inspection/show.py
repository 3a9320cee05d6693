"""Prepared rows for people, and as JSON lines."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from finetune_api.visible import visible
from finetune_cli.inspection.load import Inspected
from finetune_trainer.data.examine import histogram, sample_lengths, warnings
from finetune_trainer.data.reader import NO_LOSS, Rows
from finetune_trainer.model.tokenizer import stop_token_ids

_BAR = 40
_TRAINED, _CONTEXT = "bold green", "dim"
#: Around tokens with loss, where there is no colour to tell them.
_OPEN, _CLOSE = "⟦", "⟧"
_FATES = {
    "whole": "kept as they are",
    "chunked": "split into several samples",
    "turns_cut": "lost their oldest turns",
    "answer_cut": "lost the end of their last answer",
    "too_long": "dropped: no room for an answer",
    "nothing_trained": "dropped: no token carries loss",
}


def show_json(rows: Rows, limit: int | None) -> None:
    """One JSON object a row: input_ids, labels, lengths; source, row, line of its sample, or `samples` with those of each."""
    for index in range(len(rows) if limit is None else min(limit, len(rows))):
        row = rows[index]
        origins = [rows.origin(sample) for sample in row.samples]
        places = [{"source": origin.file, "row": origin.row, "line": origin.line} for origin in origins]
        tokens = {"input_ids": row.input_ids.tolist(), "labels": row.labels.tolist(), "lengths": row.lengths}
        typer.echo(json.dumps({**tokens, **(places[0] if len(places) == 1 else {"samples": places})}))


def show(found: Inspected, rows: Rows, split: str, limit: int) -> None:
    """Examples, counts, lengths and warnings."""
    console = Console(highlight=False)
    for index in range(min(limit, len(rows))):
        _show_row(console, found.tokenizer, rows, index)
    _show_counts(console, found, split)
    _show_lengths(console, sample_lengths(rows))
    counts = found.data.counts
    lines = [*found.data.warnings, *warnings(found.rows, counts, stop_token_ids(found.tokenizer), found.tokenizer.bos_token_id)]
    console.rule("warnings", align="left")
    for line in lines or ["none"]:
        console.print(Text(line, style="yellow" if lines else ""))


def _show_row(console: Console, tokenizer: Any, rows: Rows, index: int) -> None:
    row = rows[index]
    start = 0
    for place, (sample, length) in enumerate(zip(row.samples, row.lengths, strict=True)):
        ids, labels = row.input_ids[start : start + length], row.labels[start : start + length]
        start += length
        where = f"row {index}" + (f", sample {place + 1} of {len(row.samples)}" if len(row.samples) > 1 else "")
        trained = int((labels != NO_LOSS).sum())
        console.rule(Text(f"{where}: {rows.origin(sample)}: {length} tokens, {trained} with loss"), align="left")
        console.print(_marked_text(tokenizer, ids, labels, colour=console.color_system is not None))
        console.print(_marked_ids(ids, labels), "")


def _marked_text(tokenizer: Any, ids: NDArray[np.int32], labels: NDArray[np.int32], *, colour: bool) -> Text:
    text = Text()
    for trained, group in itertools.groupby(zip(ids.tolist(), labels.tolist(), strict=True), key=lambda pair: pair[1] != NO_LOSS):
        piece = visible(tokenizer.decode([token for token, _ in group]))
        text.append(f"{_OPEN}{piece}{_CLOSE}" if trained and not colour else piece, style=_TRAINED if trained else _CONTEXT)
    return text


def _marked_ids(ids: NDArray[np.int32], labels: NDArray[np.int32]) -> Text:
    pairs = zip(ids.tolist(), labels.tolist(), strict=True)
    return Text(" ").join(Text(str(token), style=_CONTEXT if label == NO_LOSS else _TRAINED) for token, label in pairs)


def _show_counts(console: Console, found: Inspected, split: str) -> None:
    counts = found.data.counts
    console.rule("counts", align="left")
    for name in ("train", "eval"):
        if name in counts:
            each = counts[name]
            console.print(f"{name}: {each['samples']} samples in {each['rows']} rows, {each['tokens']} tokens in one epoch")
    for source in counts["sources"]:
        share = f"{source['trained_tokens'] / source['tokens']:.0%}" if source["tokens"] else "none"
        head = f"{source['uri']} ({source['split']})"
        console.print(Text(f"{head}: {source['read']} rows, {source['samples']} samples, {share} of tokens with loss"))
        for fate, words in _FATES.items():
            if source.get(fate):
                console.print(f"  {source[fate]:>8} {words}")
    console.print(f"maxLength {found.job.dataset.max_length}; the lengths below are those of {split} samples")


def _show_lengths(console: Console, lengths: NDArray[np.int64]) -> None:
    console.rule("lengths in tokens", align="left")
    table = histogram(lengths)
    most = max(count for *_, count in table)
    for low, high, count in table:
        console.print(f"{low:>7} - {high:<7} {count:>8} {'█' * round(_BAR * count / most)}")
