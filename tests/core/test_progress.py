"""Where training stands, from what node 0 answers and leaves behind."""

from __future__ import annotations

import json
import math

from core.builders import attempt, gone, running, succeeded
from finetune_api.contract import Progress
from finetune_operator.core.policies.progress import presentable, progress


def report(step: int | None = None, attempt: int = 0, at: float = 0, **numbers: float) -> Progress:
    return Progress(phase="training" if step else "starting", step=step, attempt=attempt, updated_at=at, **numbers)  # type: ignore[arg-type]


RUNS = attempt(0, running(0), running(1))


def test_nothing_is_known_at_first() -> None:
    assert progress(None, None, None) is None
    assert progress(None, None, RUNS) is None


def test_a_report_adds_to_what_is_known() -> None:
    known = report(10, at=10, loss=2.0, eval_loss=2.5)
    assert progress(known, report(20, at=20, loss=1.5), RUNS) == report(20, at=20, loss=1.5, eval_loss=2.5)


def test_what_is_known_stays_when_nobody_answers() -> None:
    assert progress(report(10), None, RUNS) == report(10)


def test_an_answer_that_is_older_than_what_is_known_is_passed_over() -> None:
    assert progress(report(20, at=20), report(10, at=10), RUNS) == report(20, at=20)


def test_an_answer_of_another_attempt_is_passed_over() -> None:
    assert progress(None, report(10, attempt=1), RUNS) is None
    assert progress(report(20), report(30), attempt(1, running(0, 1))) == report(20)


def test_the_last_word_of_node_0_counts() -> None:
    done = attempt(
        0, succeeded(0, progress=report(100, at=100, loss=0.5)), succeeded(1, progress=report(99, at=200)), state="complete"
    )
    assert progress(report(90, at=90, learning_rate=1e-5), report(95, at=95), done) == report(
        100, at=100, loss=0.5, learning_rate=1e-5
    )
    assert progress(None, None, attempt(0, gone(succeeded(0, progress=report(7))))) == report(7)


def test_lasting_numbers_stay_until_the_next_attempt_trains() -> None:
    next_attempt = attempt(1, running(0, 1))
    known = report(40, at=40, loss=1.0, tokens_per_second=900.0, eta_seconds=60.0, last_checkpoint_step=30)
    starting = progress(known, report(None, attempt=1, at=50), next_attempt)
    assert starting == report(None, attempt=1, at=50).model_copy(update={"step": 40, "loss": 1.0, "last_checkpoint_step": 30})
    assert progress(starting, report(None, attempt=1, at=51), next_attempt) == starting.model_copy(update={"updated_at": 51.0})
    assert progress(starting, report(31, attempt=1, at=60), next_attempt).step == 31  # type: ignore[union-attr]


def test_saying_it_twice_changes_nothing() -> None:
    once = progress(report(10, at=10), report(20, at=20, loss=1.0), RUNS)
    assert progress(once, report(20, at=20, loss=1.0), RUNS) == once


def test_numbers_that_json_does_not_know_are_left_out() -> None:
    found = progress(report(10, at=10, loss=2.0), report(11, at=11, loss=math.nan, grad_norm=math.inf), RUNS)
    assert found == report(11, at=11, loss=2.0)


def test_long_messages_are_cut() -> None:
    found = progress(None, Progress(message="x" * 9000), RUNS)
    assert found is not None
    assert len(found.message) <= 4096


def test_what_a_status_cannot_hold_is_left_out() -> None:
    odd = Progress(loss=math.nan, grad_norm=math.inf, eval_loss=2.0, updated_at=math.nan, message="x" * 10_000)
    shown = presentable(odd)
    assert (shown.loss, shown.grad_norm, shown.eval_loss, shown.updated_at) == (None, None, 2.0, 0.0)
    assert len(shown.message) <= 4096
    assert "NaN" not in json.dumps(shown.model_dump())
