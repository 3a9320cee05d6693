"""Measurements of both sides -> a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.table import aligned


@dataclass(frozen=True)
class Row:
    """One thing measured several times.

    Attributes:
        bare, ours: values in the order of the rounds; `bare` is empty where bare Jobs have nothing to compare with.
        most: the goal; of the ratio if `of_ratio`, else of our median. None: there is none.
    """

    label: str
    unit: str
    bare: tuple[float, ...]
    ours: tuple[float, ...]
    most: float | None
    of_ratio: bool = False
    digits: int = 1

    @property
    def ratio(self) -> float | None:
        """Median of the ratios within the rounds."""
        return median(b / a for a, b in zip(self.bare, self.ours, strict=True)) if self.bare else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        value = self.ratio if self.of_ratio else median(self.ours)
        return None if self.most is None or value is None else value <= self.most


def table(rows: Sequence[Row]) -> str:
    """Medians, ratios and goals; a goal that was missed says so."""
    lines = [("", "bare Jobs", "operator", "ratio", "goal", "")]
    for row in rows:
        goal = "" if row.most is None else f"<= {row.most:g}{'x' if row.of_ratio else ''}"
        lines.append(
            (
                f"{row.label}, {row.unit}",
                f"{median(row.bare):.{row.digits}f}" if row.bare else "",
                f"{median(row.ours):.{row.digits}f}",
                f"{row.ratio:.2f}" if row.ratio is not None else "",
                goal,
                {True: "met", False: "MISSED", None: ""}[row.met],
            )
        )
    return aligned(lines, texts=(0, 5))


@dataclass(frozen=True)
class Writes:
    """Who wrote what, in one round: counts of all jobs by (user, "verb resource")."""

    label: str
    jobs: int
    bare: Mapping[tuple[str, str], int]
    ours: Mapping[tuple[str, str], int]


def writes_table(all_writes: Sequence[Writes]) -> str:
    """Writes per job by client and resource."""
    lines: list[tuple[str, ...]] = [("writes per job", "client", "request", "bare Jobs", "operator")]
    for writes in all_writes:
        for user, request in sorted(writes.bare.keys() | writes.ours.keys()):
            counts = [side.get((user, request), 0) / writes.jobs for side in (writes.bare, writes.ours)]
            lines.append((writes.label, user, request, *(f"{count:.2f}" for count in counts)))
    return aligned(lines, texts=(0, 1, 2))
