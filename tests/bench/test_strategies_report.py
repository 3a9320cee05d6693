"""The arithmetic of the strategies' benchmark."""

from __future__ import annotations

from bench.strategies import report

MIB = 2**20


def _side(step_seconds: float, held: int, resume: float | None = 1.0) -> report.Side:
    rank = {
        "step_seconds": [9.0, 9.0, step_seconds, step_seconds, 5 * step_seconds],
        "peak_rss_bytes": 100 * MIB,
        "weight_bytes": held * MIB,
        "optimizer_bytes": 2 * held * MIB,
        "save_seconds": [1.0, 3.0, 2.0],
    }
    return report.side([rank, {**rank, "weight_bytes": 1}], resume, tokens_per_step=100, checkpoint_bytes=7 * MIB)


def _row(table: str, preset: str) -> list[str]:
    return next(line.split() for line in table.splitlines() if line.startswith(f"{preset} "))


def test_a_ratio_is_that_of_a_pair_and_one_slow_step_does_not_count() -> None:
    plain, ours = (_side(1.0, 10), _side(4.0, 10)), (_side(1.0 / 0.97, 10), _side(4.0 / 0.97, 10))
    case = report.Case("zero3", "full", plain, ours)
    assert round(case.speed, 3) == 0.97
    assert _row(report.speed_table([case]), "zero3")[2:6] == ["62.5", "60.6", "0.970", "met"]


def test_a_missed_goal_says_so() -> None:
    case = report.Case("ddp", "full", (_side(1.0, 10),), (_side(1.2, 10),))
    assert "MISSED" in _row(report.speed_table([case]), "ddp")


def test_what_a_rank_holds_is_compared_with_ddp_of_the_same_method() -> None:
    full = report.Case("ddp", "full", (_side(1.0, 40),), (_side(1.0, 40),))
    lora = report.Case("ddp", "lora", (_side(1.0, 10),), (_side(1.0, 10),))
    split = report.Case("fsdp2", "full", (_side(1.0, 20),), (_side(1.0, 20),))
    table = report.held_table([lora, full, split])
    assert _row(table, "fsdp2") == ["fsdp2", "full", "20.0", "20.0", "40.0", "40.0", "0.50"]


def test_a_resume_that_was_not_measured_is_left_out() -> None:
    case = report.Case("ddp", "full", (_side(1.0, 10), _side(1.0, 10)), (_side(1.0, 10, 4.0), _side(1.0, 10, None)))
    assert _row(report.checkpoint_table([case]), "ddp")[2:] == ["2.00", "2.00", "7", "7", "1.00", "4.00"]
