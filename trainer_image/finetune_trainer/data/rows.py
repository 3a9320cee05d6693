"""What a row of a data file is, where it came from, and how a bad one is reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from finetune_trainer.errors import UserError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is.

    Attributes:
        name: path of the file, or the hub data set.
        file: index of the file within its source.
        row: from 0 within its file.
        line: from 1, for files of lines; None for Parquet and hub data sets.
    """

    name: str
    file: int
    row: int
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.name}, row {self.row}" if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read: usually a mapping of column to value, but a file may hold anything."""

    place: Place
    value: Any


class Source(Protocol):
    """A set of rows that can be read (again and again) and named by its content.

    Attributes:
        label: short name for progress lines.
        digest: sha256 (hex) of the content.
        names: what Place.name is for each file index.
        total: number of rows, where it is known before reading.
        notes: lines for people, for example files that were left out.
    """

    @property
    def label(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def total(self) -> int | None: ...
    @property
    def notes(self) -> list[str]: ...

    def rows(self) -> Iterator[Row]:
        """All rows, in order."""
        ...


class BadRowError(Exception):
    """A row that cannot be used; whoever knows its place turns it into a UserError."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint

    def at(self, place: Place | str) -> UserError:
        """The error for people, with its place."""
        return UserError("BadDataRow", f"{place}: {self.message}", self.hint)
