"""The arithmetic of `make bench-operator`."""

from __future__ import annotations

from bench.operator.report import Row, Writes, table, writes_table


def test_the_ratio_is_the_median_of_the_rounds():
    """A machine that slows down between two rounds changes both medians, but not the ratio."""
    row = Row("many", "s", bare=(1.0, 2.0, 4.0), ours=(2.0, 4.0, 8.0), most=2.5, of_ratio=True)
    assert row.ratio == 2.0
    assert row.met


def test_a_goal_may_be_of_our_side_alone():
    row = Row("CPU", "s", bare=(), ours=(0.5, 3.0, 1.2), most=1.0)
    assert row.ratio is None
    assert row.met is False


def test_the_table_shows_medians_goals_and_what_was_missed():
    rows = [
        Row("latency", "ms", (10.0,), (20.0,), most=2.5, of_ratio=True, digits=0),
        Row("memory", "MiB", (), (151.0,), most=150.0, digits=0),
        Row("writes", "1", (6.0,), (9.0,), most=None),
    ]
    _, latency, memory, writes = table(rows).splitlines()
    assert latency.split() == ["latency,", "ms", "10", "20", "2.00", "<=", "2.5x", "met"]
    assert memory.split() == ["memory,", "MiB", "151", "<=", "150", "MISSED"]
    assert writes.split() == ["writes,", "1", "6.0", "9.0", "1.50"]


def test_writes_are_per_job_and_a_missing_one_is_zero():
    writes = Writes("all", 10, bare={("admin", "create jobs"): 10}, ours={("operator", "create jobs"): 15})
    assert [line.split() for line in writes_table([writes]).splitlines()[1:]] == [
        ["all", "admin", "create", "jobs", "1.00", "0.00"],
        ["all", "operator", "create", "jobs", "0.00", "1.50"],
    ]
