"""What follows an attempt, and how soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_api.contract import ExitCode
from finetune_api.restart import Decision, attempt_outcome, decide, retry_delay

CODES = st.sampled_from([*map(int, ExitCode), 1, 137, -9])


@pytest.mark.parametrize(
    ("codes", "decision"),
    [
        ([0, 0], Decision("done", False, "Completed")),
        ([0, 75], Decision("retry", True, "Failed")),
        ([1, 0], Decision("retry", True, "Failed")),
        ([76, 75], Decision("retry", True, "Stalled")),
        ([75, 64], Decision("fail", False, "UserError")),
        ([77, 77], Decision("retry", False, "Preempted")),
        ([77, 75], Decision("retry", True, "Failed")),
        ([78, 64], Decision("fail", False, "Fenced")),
        ([], Decision("done", False, "Completed")),
    ],
)
def test_decision(codes: list[int], decision: Decision):
    assert decide(codes, restarts=0, max_restarts=1, stopping=False) == decision


def test_restarts_run_out():
    assert decide([75], restarts=1, max_restarts=1, stopping=False) == Decision("fail", False, "MaxRestartsExceeded")
    assert decide([77], restarts=1, max_restarts=1, stopping=False).action == "retry"


@given(st.lists(CODES, max_size=4), st.integers(0, 5), st.integers(0, 5))
def test_nothing_is_started_again_once_it_was_asked_to_stop(codes: list[int], restarts: int, max_restarts: int):
    assert decide(codes, restarts=restarts, max_restarts=max_restarts, stopping=True).action != "retry"


@given(st.lists(CODES, min_size=1, max_size=4))
def test_a_success_needs_every_node(codes: list[int]):
    assert (attempt_outcome(codes) is ExitCode.OK) == all(code == 0 for code in codes)


def test_the_first_restart_is_at_once_and_later_ones_wait_longer():
    assert [retry_delay(restarts) for restarts in (0, 1, 2, 3, 4, 5, 6, 1000)] == [0, 1, 2, 4, 8, 16, 30, 30]
