"""The life of a job up to the end of an attempt, a step at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.builders import (
    CONFIG,
    EVERYTHING,
    NAME,
    RUNNING,
    START,
    after,
    attempt,
    begun,
    cached,
    condition,
    created,
    failed,
    gone,
    job,
    pending,
    planned,
    running,
    succeeded,
    told_to_leave,
    under_way,
)
from finetune_api.contract import Progress
from finetune_api.names import ANNOTATION_PREEMPTIONS, ANNOTATION_RAN_SECONDS, ANNOTATION_RESTARTS
from finetune_api.pod_trouble import Trouble
from finetune_api.status import Nodes
from finetune_api.times import rfc3339
from finetune_operator.core.model import Create, Nudge, Observed, Plan, References
from finetune_operator.core.plan import plan

# --- before the first attempt -----------------------------------------------------------------------------------------------------


def test_a_new_job_needs_its_references_and_no_fresh_read() -> None:
    assert cached(job()) == Plan(needs=frozenset({"references"}), status=job().status)


def test_the_first_attempt_is_created_at_once() -> None:
    first = planned(job(), at=0, fresh=False)
    assert created(first) == {
        "name": f"{NAME}-0",
        ANNOTATION_RESTARTS: "0",
        ANNOTATION_PREEMPTIONS: "0",
        ANNOTATION_RAN_SECONDS: "0.000",
    }
    assert (first.status.phase, first.status.attempt, first.status.start_time) == ("Pending", 0, rfc3339(START))
    assert (first.status.nodes, first.status.output) == (Nodes(desired=2, ready=0), f"pvc://runs/{NAME}")
    assert first.status.summary is not None
    assert first.status.summary.nodes == "0/2"
    assert condition(first, "Accepted") == ("True", "Accepted")
    assert first.events == ()
    assert first.write_after == 0


def test_a_job_that_lacks_something_is_looked_at_again() -> None:
    refused = planned(job(), references=References())
    assert (refused.actions, refused.status.phase, refused.requeue_after) == ((), "Pending", 15)
    assert condition(refused, "Accepted") == ("False", "ClaimNotFound")
    assert "PersistentVolumeClaim runs" in refused.status.message
    assert [event.reason for event in refused.events] == ["Refused"]
    again = planned(after(job(), references=References()), references=References())
    assert again.events == ()


def test_it_starts_once_it_has_what_it_lacked() -> None:
    assert created(planned(after(job(), references=References())))["name"] == f"{NAME}-0"


def test_a_spec_that_is_wrong_in_itself_fails() -> None:
    wrong = replace(job(), job=None, problems=("spec.model: is missing.",))
    given_up = cached(wrong)
    assert (given_up.status.phase, given_up.status.nodes) == ("Failed", None)
    assert given_up.status.completion_time == rfc3339(START + 200)
    assert condition(given_up, "Failed") == ("True", "InvalidSpec")
    assert condition(given_up, "Accepted") == ("False", "InvalidSpec")
    assert [event.reason for event in given_up.events] == ["Refused", "Failed"]


def test_a_node_that_is_too_small_is_a_warning() -> None:
    large = job(resources={"limits": {"nvidia.com/gpu": 8}})
    warned = planned(large, references=replace(EVERYTHING, nodes=({"nvidia.com/gpu": "4"},)))
    assert created(warned)
    assert condition(warned, "Accepted") == ("True", "Accepted")
    assert [event.reason for event in warned.events] == ["NoNodeFits"]


def test_a_job_may_be_created_suspended() -> None:
    waiting = cached(job(suspend=True))
    assert (waiting.needs, waiting.actions, waiting.status.phase, waiting.status.start_time) == (frozenset(), (), "Suspended", None)
    assert created(planned(replace(job(), status=waiting.status)))["name"] == f"{NAME}-0"


def test_nothing_is_created_beside_pods_of_an_earlier_job() -> None:
    waiting = planned(job(), strays=(told_to_leave(running(0)),))
    assert waiting.actions == ()
    assert running(0).name in waiting.status.message
    assert created(planned(job(), strays=(failed(0, 1),)))


# --- an attempt under way ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pods", "phase", "reason", "ready"),
    [
        ((), "Pending", "PodsStarting", 0),
        ((pending(0), pending(1)), "Pending", "PodsStarting", 0),
        ((running(0), pending(1)), "Pending", "PodsStarting", 1),
        (RUNNING, "Running", "NodesRunning", 2),
        ((running(0), succeeded(1)), "Running", "NodesRunning", 1),
        ((running(0), pending(1, trouble=Trouble("ImagePullFailed", "It cannot be pulled."))), "Pending", "ImagePullFailed", 1),
    ],
)
def test_the_phase_follows_the_pods(pods: tuple[Any, ...], phase: str, reason: str, ready: int) -> None:
    seen = cached(begun(), attempt(0, *pods))
    assert (seen.needs, seen.actions, seen.events) == (frozenset(), (), ())
    assert (seen.status.phase, condition(seen, "Running")[1]) == (phase, reason)
    assert seen.status.nodes == Nodes(desired=2, ready=ready)


def test_the_message_says_which_pod_and_what() -> None:
    seen = cached(begun(), attempt(0, running(0), pending(1, trouble=Trouble("ImagePullFailed", "It cannot be pulled."))))
    assert seen.status.message == f"Node 1 (pod {NAME}-0-1-abcde) does not run. It cannot be pulled."


def test_volumes_of_a_waiting_pod_are_looked_at_again() -> None:
    assert cached(begun(), attempt(0, pending(0, waiting_since=START), running(1))).requeue_after == 5
    assert cached(begun(), attempt(0, pending(0), running(1))).requeue_after is None


def test_once_running_a_job_runs_until_its_attempt_is_over() -> None:
    assert cached(under_way(), attempt(0, running(0))).status.phase == "Running"


def test_progress_is_asked_for_and_told() -> None:
    training = Progress(phase="training", step=7, total_steps=100, loss=1.25, attempt=0)
    seen = cached(under_way(), attempt(0, *RUNNING), progress=training, progress_written_at=START + 195)
    assert seen.poll == "10.0.0.0"
    assert (seen.status.progress, seen.status.message) == (training, "Training.")
    assert seen.status.summary is not None
    assert (seen.status.summary.step, seen.status.summary.loss) == ("7/100", "1.25")
    assert seen.write_after == 0, "the first step"
    known = replace(under_way(), status=seen.status)
    more = cached(known, attempt(0, *RUNNING), progress=training.model_copy(update={"step": 8}), progress_written_at=START + 195)
    assert more.write_after == CONFIG.progress_seconds - 5


@pytest.mark.parametrize("pods", [(), (pending(0),), (succeeded(0), running(1)), (gone(running(0)),)])
def test_nobody_is_asked_who_cannot_answer(pods: tuple[Any, ...]) -> None:
    assert cached(under_way(), attempt(0, *pods)).poll is None


def test_another_trainer_is_not_asked() -> None:
    foreign = job(trainer={"command": ["torchrun", "train.py"]})
    assert cached(foreign, attempt(0, *RUNNING)).poll is None


def test_a_queue_may_hold_it_back() -> None:
    held = cached(begun(), attempt(0, suspended=True, started_at=None))
    assert (held.actions, held.status.phase) == ((), "Pending")
    assert condition(held, "Running") == ("False", "Queued")


def test_a_failed_node_is_told_at_once_and_the_job_controller_is_nudged() -> None:
    seen = cached(under_way(), attempt(0, failed(0, 1, "RankFailed"), running(1)))
    assert seen.actions == (Nudge(f"{NAME}-0", "job-0", 1),)
    assert seen.status.phase == "Running"
    assert seen.status.last_failure is not None
    assert seen.status.last_failure.reason == "RankFailed"
    assert "Rank 0: RankFailed." in seen.status.message
    assert seen.status.restarts == 0
    assert seen.write_after == 0


# --- lost writes ------------------------------------------------------------------------------------------------------------------


def test_a_lost_first_status_is_made_up_for() -> None:
    """The attempt was created, and the operator died before it could say so."""
    seen = cached(job(), attempt(0, *RUNNING))
    (repeated,) = seen.actions
    assert isinstance(repeated, Create)
    assert [manifest["kind"] for manifest in repeated.manifests] == ["Service", "ConfigMap"], "perhaps it died in the middle of it"
    assert (seen.status.phase, seen.status.start_time) == ("Running", rfc3339(START))
    assert condition(seen, "Accepted") == ("True", "Accepted")
    assert cached(replace(job(), status=seen.status), attempt(0, *RUNNING)).actions == ()


def test_what_is_needed_can_be_asked_for_one_after_the_other() -> None:
    observed = Observed(fresh=True)
    assert plan(job(), observed, START, CONFIG).needs == {"references"}
