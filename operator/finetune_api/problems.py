"""What is wrong with a job, one entry per mistake, and how a name is guessed that was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes:
        path: the field, as in spec.dataset.sources[0].uri; empty when the whole document is meant.
        message: what is wrong.
        hint: what to write instead; may be empty.
        line: line in the file, from 1, where it is known.
    """

    path: str
    message: str
    hint: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f" {self.hint}" if self.hint else "")


class SpecErrors(Exception):  # noqa: N818  (it is several)
    """Everything that is wrong with a job file; str() has one line per problem.

    Attributes:
        source: the file.
        problems: in the order of their lines, never empty.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__(source, self.problems)

    def __str__(self) -> str:
        return "\n".join(located(self.source, problem) for problem in self.problems)


def located(source: str, problem: Problem, where: str = "") -> str:
    """The problem as one line that editors can jump to: FILE:LINE: PATH: MESSAGE HINT, with `where` it is one before PATH."""
    line = f":{problem.line}" if problem.line else ""
    return f"{source}{line}: {where}{': ' if where else ''}{problem}"


def dotted(keys: Sequence[str | int]) -> str:
    """("spec", "sources", 0, "uri") -> "spec.sources[0].uri"; a dot in a key is written as --set reads it, with a backslash."""
    text = ""
    for key in keys:
        name = f"[{key}]" if isinstance(key, int) else key.replace(".", "\\.")
        text += name if isinstance(key, int) or not text else f".{name}"
    return text


def snake_case(name: str) -> str:
    """learningRate, learning-rate -> learning_rate; bf16 stays bf16 (pydantic's to_snake makes bf_16 of it)."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", name).lower()


def nearest(word: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The known word that is most like `word` (letter case aside), or None if none is alike."""
    by_lower = {name.lower(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None
