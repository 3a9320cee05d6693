"""The benchmark's arithmetic."""

from __future__ import annotations

from bench.trainer import report

MARKS = {"import_done": 101.0, "data_opened": 102.0, "process_group": 103.0, "model_loaded": 104.0, "first_step": 106.0}


def _side(step_seconds: float, rss: int, saves: tuple[float, ...] = ()) -> report.Side:
    rank = {**MARKS, "step_seconds": [9.0, 9.0, step_seconds, step_seconds], "save_seconds": saves}
    return report.side(100.0, 2**30, [{**rank, "peak_rss_bytes": rss}, {**rank, "peak_rss_bytes": rss // 2}], tokens_per_step=100)


def test_the_first_steps_do_not_count_and_the_larger_rank_does():
    side = _side(2.0, 4 * 2**20)
    assert side.tokens_per_second == 50.0
    assert side.rank_rss == 4 * 2**20
    assert side.marks["first_step"] == 6.0


def test_the_ratio_is_the_median_of_the_pairs():
    """A machine that slows down between two pairs changes both medians, but not the ratio."""
    plain = [_side(seconds, 2**20) for seconds in (1.0, 2.0, 4.0)]
    ours = [_side(2 * seconds, 2**20, saves=(0.5,)) for seconds in (1.0, 2.0, 4.0)]
    lines = report.table(plain, ours).splitlines()
    speed = next(line.split() for line in lines if line.startswith("steady state"))
    assert speed[-3:] == ["50.0", "25.0", "0.500"]
    assert "3 saves" in lines[-1] and lines[-1].split()[-1] == "0.50"
