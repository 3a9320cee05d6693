"""Timings of all pairs -> tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.sides import WARM_UP
from bench.table import aligned

#: What is asked of the ratio of tokens per second.
GOAL = 0.95


@dataclass(frozen=True)
class Side:
    """One run of one side. Bytes are those of the rank that has most; resume_seconds None: not measured in this run."""

    tokens_per_second: float
    rank_rss_bytes: int
    weight_bytes: int
    optimizer_bytes: int
    save_seconds: float
    checkpoint_bytes: int
    resume_seconds: float | None


@dataclass(frozen=True)
class Case:
    """All pairs of a preset and method, in the order of the runs."""

    preset: str
    method: str
    plain: tuple[Side, ...]
    ours: tuple[Side, ...]

    @property
    def speed(self) -> float:
        """Tokens per second in ratio to the plain loop: the median of the pairs' ratios."""
        return median(b.tokens_per_second / a.tokens_per_second for a, b in zip(self.plain, self.ours, strict=True))


def side(ranks: Sequence[Mapping[str, Any]], resume_seconds: float | None, tokens_per_step: int, checkpoint_bytes: int) -> Side:
    """Read the timings of a run's ranks (rank 0 first)."""
    return Side(
        tokens_per_second=tokens_per_step / median(ranks[0]["step_seconds"][WARM_UP:]),
        rank_rss_bytes=max(rank["peak_rss_bytes"] for rank in ranks),
        weight_bytes=max(rank["weight_bytes"] for rank in ranks),
        optimizer_bytes=max(rank["optimizer_bytes"] for rank in ranks),
        save_seconds=median(ranks[0]["save_seconds"]),
        checkpoint_bytes=checkpoint_bytes,
        resume_seconds=resume_seconds,
    )


def speed_table(cases: Sequence[Case]) -> str:
    """Tokens per second, the ratio and whether the goal is met; peak memory of a rank beside it."""
    lines: list[tuple[str, ...]] = [
        ("", "", "tokens/s", "", "", "", "peak RSS of a rank, MiB", ""),
        ("preset", "method", "plain loop", "finetune run", "ratio", f"goal >= {GOAL}", "plain loop", "finetune run"),
    ]
    for case in cases:
        lines.append(
            (
                *(case.preset, case.method),
                *_both(case, lambda one: one.tokens_per_second, "{:.1f}"),
                *(f"{case.speed:.3f}", "met" if case.speed >= GOAL else "MISSED"),
                *_both(case, lambda one: one.rank_rss_bytes / 2**20, "{:.0f}"),
            )
        )
    return aligned(lines, texts=(0, 1, 5))


def held_table(cases: Sequence[Case]) -> str:
    """Bytes of weights and optimizer that a rank holds, and their sum in ratio to ddp's."""
    ddp = {case.method: _held(case.ours) for case in cases if case.preset == "ddp"}
    lines: list[tuple[str, ...]] = [
        ("", "", "weights, MiB", "", "optimizer, MiB", "", "both, share of ddp"),
        ("preset", "method", "plain loop", "finetune run", "plain loop", "finetune run", "finetune run"),
    ]
    for case in cases:
        share = f"{_held(case.ours) / ddp[case.method]:.2f}" if case.method in ddp else ""
        lines.append(
            (
                *(case.preset, case.method),
                *_both(case, lambda one: one.weight_bytes / 2**20, "{:.1f}"),
                *_both(case, lambda one: one.optimizer_bytes / 2**20, "{:.1f}"),
                share,
            )
        )
    return aligned(lines, texts=(0, 1))


def checkpoint_table(cases: Sequence[Case]) -> str:
    """Seconds and bytes of a checkpoint, and seconds until its state is in place again."""
    lines: list[tuple[str, ...]] = [
        ("", "", "save, s", "", "checkpoint, MiB", "", "resume, s", ""),
        ("preset", "method", *(["library's own", "finetune run"] * 3)),
    ]
    for case in cases:
        lines.append(
            (
                *(case.preset, case.method),
                *_both(case, lambda one: one.save_seconds, "{:.2f}"),
                *_both(case, lambda one: one.checkpoint_bytes / 2**20, "{:.0f}"),
                *_both(case, lambda one: one.resume_seconds, "{:.2f}"),
            )
        )
    return aligned(lines, texts=(0, 1))


def _both(case: Case, read: Callable[[Side], float | None], layout: str) -> tuple[str, str]:
    values = ([value for one in sides if (value := read(one)) is not None] for sides in (case.plain, case.ours))
    plain, ours = (layout.format(median(each)) for each in values)
    return plain, ours


def _held(sides: Sequence[Side]) -> float:
    return median(one.weight_bytes + one.optimizer_bytes for one in sides)
