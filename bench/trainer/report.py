"""Timings of all pairs -> a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.sides import WARM_UP
from bench.table import aligned

#: In the order in which the table shows them; each is the time from the start of the command until this was done.
MARKS = {
    "import_done": "imports",
    "data_opened": "data ready",
    "process_group": "process group",
    "model_loaded": "model loaded",
    "first_step": "first optimizer step",
}


@dataclass(frozen=True)
class Side:
    """One run of one side. Seconds, bytes, tokens per second over all ranks."""

    marks: Mapping[str, float]
    tokens_per_second: float
    rank_rss: float
    total_pss: float
    save_seconds: tuple[float, ...]


def side(started: float, total_pss: int, ranks: Sequence[Mapping[str, Any]], tokens_per_step: int) -> Side:
    """Read the timings of a run's ranks (rank 0 first)."""
    steady = ranks[0]["step_seconds"][WARM_UP:]
    return Side(
        marks={name: ranks[0][name] - started for name in MARKS},
        tokens_per_second=tokens_per_step * len(steady) / sum(steady),
        rank_rss=max(rank["peak_rss_bytes"] for rank in ranks),
        total_pss=total_pss,
        save_seconds=tuple(ranks[0].get("save_seconds", ())),
    )


def table(plain: Sequence[Side], ours: Sequence[Side]) -> str:
    """Medians of both sides and of the ratios within each pair."""
    rows = [("", "plain loop", "finetune run", "ratio")]

    def add(label: str, unit: str, values: Sequence[tuple[float, float]], digits: int = 1) -> None:
        a, b = median(x for x, _ in values), median(y for _, y in values)
        ratio = median(y / x for x, y in values)
        rows.append((f"{label}, {unit}", f"{a:.{digits}f}", f"{b:.{digits}f}", f"{ratio:.3f}"))

    pairs = list(zip(plain, ours, strict=True))
    add("steady state", "tokens/s", [(a.tokens_per_second, b.tokens_per_second) for a, b in pairs])
    add("peak RSS of a rank", "MiB", [(a.rank_rss / 2**20, b.rank_rss / 2**20) for a, b in pairs], 0)
    add("peak PSS of all processes", "MiB", [(a.total_pss / 2**20, b.total_pss / 2**20) for a, b in pairs], 0)
    for name, label in MARKS.items():
        add(f"start to {label}", "s", [(a.marks[name], b.marks[name]) for a, b in pairs])
    if stalls := [seconds for b in ours for seconds in b.save_seconds]:
        rows.append((f"checkpoint, training stands still, s ({len(stalls)} saves)", "", f"{median(stalls):.2f}", ""))
    return aligned(rows)
