"""Policies of a few lines each: the gate, the deadline, the nudge, the time to live, old attempts."""

from __future__ import annotations

import pytest

from core.builders import CONFIG, NAME, START, attempt, disrupted, failed, gone, over, pending, running, stopped, succeeded
from finetune_api.contract import Progress
from finetune_api.spec import RunPolicy
from finetune_api.status import Failure, FineTuneJobStatus, Nodes
from finetune_api.times import rfc3339, unix
from finetune_operator.core.model import Attempt, DeleteAttempt, Nudge, Stop
from finetune_operator.core.policies import deadline
from finetune_operator.core.policies.cleanup import cleanup
from finetune_operator.core.policies.nudge import nudge
from finetune_operator.core.policies.reporting import write_after
from finetune_operator.core.policies.suspend import is_held, is_over
from finetune_operator.core.policies.ttl import seconds_to_keep

# --- the gate ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (attempt(0), False),
        (attempt(0, failed(0, 1), failed(1, 1)), False),
        (over(0, failed(0, 1), gone(running(1))), True),
        (over(0, failed(0, 1), running(1)), False),
        (attempt(0, state="complete"), True),
        (stopped(0), True),
        (stopped(0, gone(running(0)), failed(1, 77)), True),
        (stopped(0, running(0)), False),
        (stopped(0, pending(0)), False),
        # The Job controller may still create pods from what it read before.
        (stopped(0, ended_at=None), False),
        # Somebody undid the stop.
        (stopped(0, suspended=False), False),
        # A queue holds it and will let it go.
        (attempt(0, suspended=True, ended_at=START), False),
    ],
)
def test_when_an_attempt_is_over(candidate: Attempt, expected: bool) -> None:
    assert is_over(candidate) is expected


def test_what_a_queue_holds_is_not_what_the_operator_stopped() -> None:
    assert is_held(attempt(0, suspended=True))
    assert not is_held(stopped(0))
    assert not is_held(attempt(0))


# --- the deadline -----------------------------------------------------------------------------------------------------------------

HOUR = RunPolicy(active_deadline_seconds=3600, graceful_stop_seconds=100)


def test_time_counts_while_attempts_run() -> None:
    assert deadline.ran_seconds(attempt(3, ran_seconds=500), START + 61) == 560
    assert deadline.ran_seconds(stopped(3, ran_seconds=500, after=61), START + 9999) == 560
    assert deadline.ran_seconds(attempt(3, ran_seconds=500, started_at=None), START + 9999) == 500


def test_the_last_save_is_part_of_the_time() -> None:
    assert deadline.seconds_left(HOUR, 3400) == 100
    assert not deadline.exceeded(HOUR, 3499)
    assert deadline.exceeded(HOUR, 3500)
    assert deadline.seconds_left(RunPolicy(), 1e9) is None
    assert not deadline.exceeded(RunPolicy(), 1e9)


# --- the nudge --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "count"),
    [
        (attempt(0, running(0), running(1)), None),
        (attempt(0, succeeded(0), running(1)), None),
        (attempt(0, failed(0, 1), running(1)), 1),
        (attempt(0, failed(0, 1), running(1), nudges=1), None),
        (attempt(0, failed(0, 1), gone(running(1)), nudges=1), 2),
        (attempt(0, failed(0, 1), gone(running(1)), nudges=2), None),
        (attempt(0, failed(0, 1), nudges=1), None),
        (attempt(0, disrupted(running(0)), running(1)), 1),
        (attempt(0, gone(running(0)), running(1)), 1),
        (attempt(0, gone(succeeded(0)), running(1)), None),
        # Finished, or held back: there is nothing to hurry.
        (over(0, failed(0, 1), failed(1, 1)), None),
        (stopped(0, failed(0, 1), failed(1, 1)), None),
    ],
)
def test_nudges(candidate: Attempt, count: int | None) -> None:
    assert nudge(candidate, nodes=2) == (None if count is None else Nudge(f"{NAME}-0", "job-0", count))


# --- the time to live -------------------------------------------------------------------------------------------------------------


def test_a_finished_job_is_kept_for_its_time_to_live() -> None:
    finished = FineTuneJobStatus(phase="Failed", completion_time=rfc3339(START))
    assert seconds_to_keep(finished, RunPolicy(ttl_seconds_after_finished=60), START + 20) == 40
    assert seconds_to_keep(finished, RunPolicy(ttl_seconds_after_finished=0), START) == 0
    assert seconds_to_keep(finished, RunPolicy(), START + 1e9) is None


# --- old attempts -----------------------------------------------------------------------------------------------------------------


def test_the_newest_three_attempts_are_kept() -> None:
    attempts = [over(number) for number in range(5)]
    assert cleanup(attempts) == [DeleteAttempt(f"{NAME}-0", "job-0"), DeleteAttempt(f"{NAME}-1", "job-1")]
    assert cleanup(attempts[2:]) == []


def test_what_is_being_deleted_is_not_deleted_again() -> None:
    assert cleanup([over(0, deleting=True), over(1), over(2), over(3)]) == []


def test_nothing_but_the_newest_may_run() -> None:
    """Two operators at once, or somebody who undid a stop."""
    attempts = [attempt(0), stopped(1, suspended=False), attempt(2)]
    assert cleanup(attempts) == [Stop(f"{NAME}-0", "job-0", "obsolete"), Stop(f"{NAME}-1", "job-1", "obsolete")]


# --- status writes ----------------------------------------------------------------------------------------------------------------

TRAINING = FineTuneJobStatus(phase="Running", message="Training.", progress=Progress(step=10, phase="training"))


@pytest.mark.parametrize(
    ("changes", "at_once"),
    [
        ({"progress": Progress(step=11, phase="training")}, False),
        ({"progress": Progress(step=11, phase="saving"), "message": "Training: saving a checkpoint."}, False),
        ({"nodes": Nodes(desired=2, ready=1)}, True),
        ({"phase": "Restarting"}, True),
        ({"last_failure": Failure(reason="OutOfMemory")}, True),
    ],
)
def test_only_numbers_may_wait(changes: dict[str, object], at_once: bool) -> None:
    new = TRAINING.model_copy(update=changes)
    wait = write_after(TRAINING, new, written_at=START, interval=CONFIG.progress_seconds, now=START + 10)
    assert wait == (0 if at_once else 20)


def test_a_sentence_about_a_job_that_does_not_run_is_news() -> None:
    pending_job = FineTuneJobStatus(message="Waiting.")
    assert (
        write_after(
            pending_job, pending_job.model_copy(update={"message": "No node has room."}), written_at=START, interval=30, now=START
        )
        == 0
    )


def test_the_first_step_is_told_at_once() -> None:
    loading = TRAINING.model_copy(update={"progress": Progress(phase="loading")})
    loaded = TRAINING.model_copy(update={"progress": Progress(phase="loading", step=0)})
    for old, new in ((loading, loaded), (loaded, TRAINING)):
        assert write_after(old, new, written_at=START, interval=30, now=START + 1) == 0


def test_numbers_wait_no_longer_than_the_interval() -> None:
    new = TRAINING.model_copy(update={"progress": Progress(step=99)})
    assert write_after(TRAINING, new, written_at=START, interval=30, now=START + 31) == 0


# --- times ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05Z", "1999-12-31T23:59:59Z"])
def test_times_go_there_and_back(text: str) -> None:
    assert rfc3339(unix(text)) == text
    assert rfc3339(unix(text) + 0.9) == text


def test_fractions_and_zones_are_read() -> None:
    assert unix("2026-01-02T03:04:05.250000Z") == unix("2026-01-02T04:04:05+01:00") + 0.25
