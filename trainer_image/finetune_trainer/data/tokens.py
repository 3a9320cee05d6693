"""The first cached layer: the tokens of all samples of one source."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from finetune_api.spec import Dataset, DataSource
from finetune_trainer.data.cache import ArrayFile, cached, key_of
from finetune_trainer.data.choice import adds_bos
from finetune_trainer.data.control import ControlTokens
from finetune_trainer.data.formats import optional_columns, read_row
from finetune_trainer.data.rows import BadRowError, Row, Source
from finetune_trainer.data.samples import ChatEncoder, Outcome, RowEncoder, TextEncoder
from finetune_trainer.errors import UserError

#: Raise when the same inputs give other tokens than before.
VERSION = 1
_BATCH = 256
_REPORT_EVERY_S = 1.0


class Tokeniser:
    """Makes (or finds) the folders of tokens of a job's sources.

    Args:
        tokenizer: with the chosen chat template on it (choice.py).
        dataset: how samples become tokens.
        train_all: put loss on everything in chats too (lossOn: all, stage pt).
        layer: folder of this layer in the cache.
        report: takes progress lines.
    """

    def __init__(self, tokenizer: Any, dataset: Dataset, *, train_all: bool, layer: Path, report: Callable[[str], None]) -> None:
        self._tokenizer, self._dataset, self._train_all = tokenizer, dataset, train_all
        self._layer, self._report = layer, report
        self._tokenizer_digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
        self._control: ControlTokens | None = None

    def folder(self, source: DataSource, content: Source) -> Path:
        """The folder of tokens of one source: ids, trained (per token), bounds, origins (per sample); meta.json has the counts.

        Raises:
            UserError: BadDataRow and others, see rows, formats, template.
        """
        return cached(self._layer, self.key(source, content), lambda folder: self._build(folder, source, content))

    def key(self, source: DataSource, content: Source) -> str:
        """Everything that the tokens depend on, and nothing else."""
        dataset, tokenizer = self._dataset, self._tokenizer
        inputs: dict[str, Any] = {
            "version": VERSION,
            "content": content.digest,
            "format": source.format,
            "columns": source.columns.model_dump(exclude_none=True),
            "tokenizer": self._tokenizer_digest,
            "specials": tokenizer.special_tokens_map,
            "max_length": dataset.max_length,
            "allow_control_tokens": dataset.allow_control_tokens,
        }
        if source.format == "text":
            inputs |= {"bos": adds_bos(tokenizer)}
        else:
            inputs |= {"template": tokenizer.chat_template, "train_all": self._train_all}
            inputs |= {} if self._train_all else {"end_of_turn": dataset.train_end_of_turn}
        return key_of(inputs)

    def _encoder(self, source: DataSource) -> RowEncoder:
        self._control = self._control or ControlTokens(self._tokenizer)
        if source.format == "text":
            return TextEncoder(self._tokenizer, self._control, self._dataset)
        return ChatEncoder(self._tokenizer, self._control, self._dataset, train_all=self._train_all)

    def _build(self, folder: Path, source: DataSource, content: Source) -> dict[str, Any]:
        encode = self._encoder(source)
        fates: Counter[str] = Counter()
        unseen = set(optional_columns(source.format, source.columns))
        read = samples = tokens = trained = 0
        progress = _Progress(self._report, content)
        with ExitStack() as stack:
            ids, marks, bounds, origins = (
                stack.enter_context(ArrayFile(folder / f"{name}.npy", dtype, width))
                for name, dtype, width in (
                    ("ids", "<i4", None),
                    ("trained", "|b1", None),
                    ("bounds", "<i8", None),
                    ("origins", "<i8", 3),
                )
            )
            bounds.append(np.zeros(1))
            for batch in _batches(content.rows()):
                for row, outcome in zip(batch, _encode(batch, encode, source), strict=True):
                    read += 1
                    fates[outcome.fate] += 1
                    unseen.difference_update(row.value)
                    place = row.place
                    for sample in outcome.samples:
                        samples, tokens, trained = samples + 1, tokens + len(sample.ids), trained + int(sample.trained.sum())
                        ids.append(sample.ids)
                        marks.append(sample.trained)
                        bounds.append(np.array([tokens]))
                        origins.append(np.array([[place.file, place.row, -1 if place.line is None else place.line]]))
                progress(read)
        if unseen:
            raise UserError(
                "MissingColumn", f"{source.uri}: no row has a column {', '.join(sorted(unseen))} (dataset.sources[].columns)."
            )
        return {"counts": {"read": read, "samples": samples, "tokens": tokens, "trained_tokens": trained, **fates}}


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch


def _encode(batch: list[Row], encode: RowEncoder, source: DataSource) -> list[Outcome]:
    values = []
    for row in batch:
        try:
            values.append(read_row(row.value, source.format, source.columns))
        except BadRowError as bad:
            raise bad.at(row.place) from None
    try:
        return encode(values)
    except BadRowError:
        for row, value in zip(batch, values, strict=True):
            try:
                encode([value])
            except BadRowError as bad:
                raise bad.at(row.place) from None
        raise


class _Progress:
    """A line now and then."""

    def __init__(self, report: Callable[[str], None], content: Source) -> None:
        self._report, self._content, self._next = report, content, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() >= self._next:
            total = f"/{self._content.total}" if self._content.total else ""
            self._report(f"tokenising {self._content.label} {done}{total}")
            self._next = time.monotonic() + _REPORT_EVERY_S
