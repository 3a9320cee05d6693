"""The life of a job from the end of an attempt on: the next attempt, a pause, or the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.builders import (
    NAME,
    RUNNING,
    START,
    after,
    attempt,
    cached,
    condition,
    created,
    disrupted,
    failed,
    gone,
    job,
    over,
    pending,
    planned,
    running,
    stopped,
    succeeded,
    told_to_leave,
    under_way,
)
from finetune_api.contract import Progress
from finetune_api.names import ANNOTATION_PREEMPTIONS, ANNOTATION_RAN_SECONDS, ANNOTATION_RESTARTS
from finetune_api.status import FineTuneJobStatus, Nodes
from finetune_api.times import rfc3339
from finetune_operator.core.model import Attempt, DeleteSelf, Job, Plan, Stop

# --- the end of an attempt --------------------------------------------------------------------------------------------------------


def test_success() -> None:
    last_word = Progress(step=100, total_steps=100)
    done = attempt(0, succeeded(0, progress=last_word), succeeded(1), state="complete", ended_at=START + 130)
    assert cached(under_way(), done).needs == {"fresh"}
    finished = planned(under_way(), done)
    assert (finished.actions, finished.status.phase) == ((), "Succeeded")
    assert finished.status.completion_time == rfc3339(START + 130)
    assert finished.status.progress == last_word
    assert f"pvc://runs/{NAME}" in finished.status.message
    assert [condition(finished, name)[0] for name in ("Running", "Succeeded", "Failed")] == ["False", "True", "False"]
    assert [event.reason for event in finished.events] == ["Succeeded"]


def test_a_failure_is_followed_by_the_next_attempt() -> None:
    crashed = over(0, failed(0, 1, "RankFailed"), gone(running(1)))
    assert cached(under_way(), crashed).needs == {"fresh"}
    restarted = planned(under_way(), crashed)
    assert created(restarted) == {
        "name": f"{NAME}-1",
        ANNOTATION_RESTARTS: "1",
        ANNOTATION_PREEMPTIONS: "0",
        ANNOTATION_RAN_SECONDS: "119.000",
    }
    status = restarted.status
    assert (status.phase, status.attempt, status.restarts, status.preemptions) == ("Restarting", 1, 1, 0)
    assert status.nodes == Nodes(desired=2, ready=0)
    assert [(event.reason, event.message) for event in restarted.events] == [("Restarting", "Restart 1: Rank 0: RankFailed.")]


def test_nothing_is_created_while_a_pod_of_the_last_attempt_may_run() -> None:
    assert planned(under_way(), over(0, failed(0, 1), told_to_leave(running(1)))).actions == ()


def test_the_next_failure_is_waited_for_longer() -> None:
    crashed = over(1, failed(0, 1, attempt=1), restarts=3, created_at=START)
    patient = job(maxRestarts=10, status=FineTuneJobStatus(phase="Running", attempt=1, start_time=rfc3339(START), restarts=3))
    waits = planned(patient, crashed, at=121)
    assert (waits.actions, waits.status.phase, waits.requeue_after) == ((), "Restarting", 3)
    assert (waits.status.restarts, waits.status.attempt) == (4, 1)
    later = planned(replace(patient, status=waits.status), crashed, at=123.5)
    assert (later.status, later.events, later.requeue_after) == (waits.status, (), 0.5)
    assert created(planned(replace(patient, status=waits.status), crashed, at=124))["name"] == f"{NAME}-2"


def test_a_user_error_is_not_tried_again() -> None:
    given_up = planned(under_way(), over(0, failed(0, 75, "PeerLost"), gone(failed(1, 64, "BadDataRow"))))
    assert (given_up.actions, given_up.status.phase, given_up.status.restarts) == ((), "Failed", 0)
    assert given_up.status.message == "Rank 8: BadDataRow."
    assert condition(given_up, "Failed") == ("True", "UserError")
    assert [event.reason for event in given_up.events] == ["Failed"]


def test_restarts_come_to_an_end() -> None:
    given_up = planned(under_way(), over(0, failed(0, 1, "RankFailed"), restarts=3))
    assert (given_up.status.phase, given_up.status.restarts) == ("Failed", 3)
    assert condition(given_up, "Failed") == ("True", "MaxRestartsExceeded")
    assert given_up.status.message == "Given up after 3 restarts (runPolicy.maxRestarts). Rank 0: RankFailed."


def test_a_disruption_is_not_charged() -> None:
    restarted = planned(under_way(), over(0, gone(disrupted(running(0))), failed(1, 75, "PeerLost")))
    assert created(restarted)[ANNOTATION_PREEMPTIONS] == "1"
    assert (restarted.status.restarts, restarted.status.preemptions) == (0, 1)
    assert [event.reason for event in restarted.events] == ["Preempted"]


def test_the_status_of_the_next_attempt_says_restarting_until_it_runs() -> None:
    restarted = after(under_way(), over(0, failed(0, 1)))
    first, second = over(0, failed(0, 1)), attempt(1, pending(0, 1), pending(1, 1), restarts=1)
    assert cached(restarted, first, second).status.phase == "Restarting"
    ready = cached(restarted, first, attempt(1, running(0, 1), running(1, 1), restarts=1))
    assert (ready.status.phase, ready.status.restarts, ready.status.attempt) == ("Running", 1, 1)
    assert ready.status.last_failure == restarted.status.last_failure


# --- suspend and resume -----------------------------------------------------------------------------------------------------------


def suspending() -> Job:
    return after(replace(under_way(), job=job(suspend=True).job), attempt(0, *RUNNING))


def test_suspending_stops_the_attempt() -> None:
    held = replace(under_way(), job=job(suspend=True).job)
    stop = cached(held, attempt(0, *RUNNING))
    assert stop.actions == (Stop(f"{NAME}-0", "job-0", "suspend"),)
    assert stop.status.phase == "Suspending"
    leaving = cached(suspending(), stopped(0, told_to_leave(running(0)), gone(running(1)), ended_at=None))
    assert (leaving.needs, leaving.actions, leaving.status.phase) == (frozenset(), (), "Suspending")


def test_it_is_suspended_once_all_pods_have_left() -> None:
    left = stopped(0, gone(failed(0, 77, "Stopped")), gone(failed(1, 77, "Stopped")))
    assert cached(suspending(), left).needs == {"fresh"}
    rests = planned(suspending(), left)
    assert (rests.actions, rests.status.phase, rests.status.last_failure) == ((), "Suspended", None)
    assert condition(rests, "Suspended") == ("True", "Suspended")
    assert [event.reason for event in rests.events] == ["Suspended"]
    settled = cached(replace(suspending(), status=rests.status), left)
    assert (settled.needs, settled.status) == (frozenset(), rests.status), "no read while it rests"


def test_resuming_is_the_next_attempt_and_not_charged() -> None:
    left = stopped(0, gone(failed(0, 77, "Stopped")), restarts=2, preemptions=1)
    rests = after(suspending(), left)
    awake = replace(rests, job=job().job)
    assert cached(awake, left).needs == {"fresh"}
    resumed = planned(awake, left)
    assert created(resumed) == {
        "name": f"{NAME}-1",
        ANNOTATION_RESTARTS: "2",
        ANNOTATION_PREEMPTIONS: "1",
        ANNOTATION_RAN_SECONDS: "119.000",
    }
    assert resumed.status.phase == "Pending"
    assert condition(resumed, "Suspended") == ("False", "NotSuspended")
    assert cached(replace(awake, status=resumed.status), left, attempt(1, restarts=2, preemptions=1)).status == resumed.status


def test_a_stop_that_was_undone_is_repeated() -> None:
    assert cached(suspending(), stopped(0, running(0), suspended=False)).actions == (Stop(f"{NAME}-0", "job-0", "suspend"),)


def test_resuming_waits_for_a_pod_that_does_not_leave() -> None:
    awake = replace(suspending(), job=job().job)
    waits = planned(awake, stopped(0, disrupted(running(0), "NodeLost"), gone(running(1))))
    assert (waits.actions, waits.status.phase) == ((), "Suspending")
    assert f"Pod {NAME}-0-0-abcde on node worker-0 is still there" in waits.status.message


# --- the deadline -----------------------------------------------------------------------------------------------------------------

LIMIT = {"activeDeadlineSeconds": 1000, "gracefulStopSeconds": 100}


def test_the_deadline_is_looked_forward_to() -> None:
    assert cached(job(**LIMIT), attempt(0, *RUNNING), at=201).requeue_after == 700


def test_the_deadline_stops_the_attempt_and_fails_the_job() -> None:
    limited = after(job(**LIMIT), attempt(0, *RUNNING))
    stop = cached(limited, attempt(0, *RUNNING), at=901)
    assert stop.actions == (Stop(f"{NAME}-0", "job-0", "deadline"),)
    assert condition(stop, "Running") == ("True", "DeadlineExceeded")
    left = stopped(0, gone(failed(0, 77, "Stopped")), reason="deadline", after=950)
    given_up = planned(replace(limited, status=stop.status), left, at=960)
    assert (given_up.actions, given_up.status.phase) == ((), "Failed")
    assert condition(given_up, "Failed") == ("True", "DeadlineExceeded")
    assert "activeDeadlineSeconds (1000 s" in given_up.status.message


def test_time_that_was_used_up_before_a_failure_counts() -> None:
    assert planned(job(**LIMIT), over(3, failed(0, 1), ran_seconds=800)).status.phase == "Failed"


def test_a_suspended_job_does_not_run_out_of_time() -> None:
    resting = replace(job(suspend=True, **LIMIT), status=FineTuneJobStatus(phase="Suspending", start_time=rfc3339(START)))
    assert planned(resting, stopped(0, after=950), at=5000).status.phase == "Suspended"


# --- what people do to Kubernetes Jobs --------------------------------------------------------------------------------------------


def test_a_deleted_job_is_replaced_once_its_pods_have_left() -> None:
    assert cached(under_way()).needs == {"fresh"}
    waits = planned(under_way(), strays=(told_to_leave(running(0)),))
    assert (waits.actions, waits.status.phase, waits.status.preemptions) == ((), "Restarting", 0)
    replaced = planned(replace(under_way(), status=waits.status))
    assert created(replaced)["name"] == f"{NAME}-1"
    assert created(replaced)[ANNOTATION_PREEMPTIONS] == "1"
    assert (replaced.status.attempt, replaced.status.preemptions) == (1, 1)
    assert [event.reason for event in replaced.events] == ["Preempted"]


def test_an_older_attempt_does_not_come_back_when_the_newest_is_deleted() -> None:
    third = replace(under_way(), status=under_way().status.model_copy(update={"attempt": 2}))
    assert created(planned(third, over(1, failed(0, 64, "BadDataRow"), ran_seconds=50)))["name"] == f"{NAME}-3"


def test_a_deleted_job_is_not_replaced_while_the_finetunejob_is_suspended() -> None:
    resting = replace(under_way(), job=job(suspend=True).job)
    assert (planned(resting).actions, planned(resting).status.phase) == ((), "Suspended")


def test_a_job_that_is_being_deleted_is_waited_for() -> None:
    assert planned(under_way(), attempt(0, *RUNNING, deleting=True)).actions == ()


# --- the end of a job -------------------------------------------------------------------------------------------------------------


def finished(phase: str = "Succeeded", **spec: Any) -> Job:
    status = FineTuneJobStatus(phase=phase, start_time=rfc3339(START), completion_time=rfc3339(START + 100), attempt=1)  # type: ignore[arg-type]
    return job(status=status, **spec)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
@pytest.mark.parametrize("attempts", [(), (over(0, failed(0, 1)),), (attempt(1, state="complete"),), (over(2, failed(0, 64)),)])
def test_the_end_is_final(phase: str, attempts: tuple[Attempt, ...]) -> None:
    rests = cached(finished(phase), *attempts)
    assert (rests.needs, rests.actions, rests.status.phase, rests.status.attempt) == (frozenset(), (), phase, 1)
    assert rests.status == finished(phase).status.model_copy(update={"observed_generation": 1})


def test_nothing_runs_after_the_end() -> None:
    assert cached(finished(), attempt(2, *RUNNING)).actions == (Stop(f"{NAME}-2", "job-2", "obsolete"),)


def test_it_is_deleted_after_its_time_to_live() -> None:
    kept = finished(ttlSecondsAfterFinished=500)
    assert (cached(kept).actions, cached(kept).requeue_after) == ((), 400)
    assert cached(kept, at=600).actions == (DeleteSelf(kept.uid),)


def test_a_job_that_is_being_deleted_is_left_to_kubernetes() -> None:
    leaving = replace(under_way(), deleting=True)
    assert cached(leaving, attempt(0, failed(0, 1))) == Plan(status=leaving.status)


def test_a_running_job_that_this_version_cannot_read_is_left_alone() -> None:
    unknown = replace(under_way(), job=None, problems=("spec.colour: is not a field of the API.",))
    left = cached(unknown, over(0, failed(0, 1)))
    assert (left.needs, left.actions, left.status.phase) == (frozenset(), (), "Running")
    assert "spec.colour" in left.status.message
