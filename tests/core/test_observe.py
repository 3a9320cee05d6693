"""What is read from objects of the API server."""

from __future__ import annotations

from typing import Any

import pytest

from core.builders import CONFIG, NAME, START, UID, job, raw_job
from finetune_api.contract import TerminationMessage
from finetune_api.names import ANNOTATION_STOPPED, COMPLETION_INDEX, LABEL_JOB, LABEL_JOB_UID
from finetune_api.status import FineTuneJobStatus
from finetune_api.times import rfc3339
from finetune_operator.core import observe
from finetune_operator.core.model import Manifest
from finetune_operator.core.render.attempt import render_attempt


def kubernetes_job(number: int = 0, suspend: bool = False, **status: Any) -> Manifest:
    """An attempt's Job as it was created and came back."""
    raw: Manifest = render_attempt(job(), number, restarts=2, preemptions=1, ran_seconds=30.5, config=CONFIG)[-1]
    raw["metadata"] |= {"uid": f"job-{number}", "creationTimestamp": rfc3339(START + 5)}
    raw["spec"]["suspend"] = suspend
    return {**raw, "status": status}


def condition(name: str, at: float = 100, **more: Any) -> Manifest:
    return {"type": name, "status": "True", "lastTransitionTime": rfc3339(START + at), **more}


def raw_pod(name: str = "p", owner: str = "job-0", rank: int = 0, **status: Any) -> Manifest:
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": rfc3339(START + 6),
            "labels": {LABEL_JOB: NAME, LABEL_JOB_UID: UID},
            "annotations": {COMPLETION_INDEX: str(rank)},
            "ownerReferences": [{"kind": "Job", "uid": owner, "controller": True}],
        },
        "spec": {"nodeName": "worker-1"},
        "status": {"phase": "Pending", **status},
    }


def left_with(code: int, message: str = "", at: float = 100) -> list[Manifest]:
    ended = {"exitCode": code, "reason": "Error", "message": message, "finishedAt": rfc3339(START + at)}
    return [{"name": "sidecar", "state": {}}, {"name": "trainer", "state": {"terminated": ended}}]


def test_a_job_is_read_with_defaults() -> None:
    read = observe.job(raw_job(nodes=4))
    assert (read.key, read.uid, read.created_at, read.problems) == (("team", NAME), UID, START, ())
    assert read.spec.distributed.nodes == 4
    assert read.status == FineTuneJobStatus()
    assert not read.deleting


def test_a_deleted_job_is_seen_as_such() -> None:
    raw = raw_job()
    raw["metadata"]["deletionTimestamp"] = rfc3339(START)
    assert observe.job(raw).deleting


def test_mistakes_become_problems() -> None:
    raw = raw_job()
    raw["spec"] |= {"distributed": {"nodes": "two"}, "color": "blue"}
    read = observe.job(raw)
    assert read.job is None
    assert any("spec.distributed.nodes" in problem for problem in read.problems)
    assert any("spec.color" in problem for problem in read.problems)


def test_rules_of_a_cluster_are_checked() -> None:
    read = observe.job(raw_job(output={}))
    assert read.job is not None
    assert any("spec.output.volume" in problem for problem in read.problems)


@pytest.mark.parametrize("status", [None, {}, {"phase": "Dancing"}, {"conditions": "many"}, "text", {"attempt": -1}])
def test_a_status_that_cannot_be_read_counts_as_none(status: Any) -> None:
    assert observe.job(raw_job() | {"status": status}).status == FineTuneJobStatus()


def test_fields_of_a_newer_operator_are_passed_over() -> None:
    assert observe.job(raw_job() | {"status": {"phase": "Running", "mood": "good"}}).status.phase == "Running"


def test_counters_come_back_from_the_annotations() -> None:
    (attempt,), _ = observe.attempts(job(), [kubernetes_job(3)], [])
    assert (attempt.number, attempt.restarts, attempt.preemptions, attempt.ran_seconds) == (3, 2, 1, 30.5)
    assert attempt.name == f"{NAME}-3"


def test_attempts_are_in_order_and_have_their_pods_by_rank() -> None:
    pods = [raw_pod("b", "job-10", 1), raw_pod("a", "job-10", 0), raw_pod("c", "job-9", 0)]
    attempts, strays = observe.attempts(job(), [kubernetes_job(10), kubernetes_job(9)], pods)
    assert [(attempt.number, [pod.name for pod in attempt.pods]) for attempt in attempts] == [(9, ["c"]), (10, ["a", "b"])]
    assert strays == ()


def test_jobs_of_an_earlier_finetunejob_are_not_attempts_and_their_pods_are_strays() -> None:
    earlier = kubernetes_job(0)
    earlier["metadata"]["labels"][LABEL_JOB_UID] = "another"
    attempts, strays = observe.attempts(job(), [earlier], [raw_pod("old")])
    assert attempts == ()
    assert [pod.name for pod in strays] == ["old"]


def test_a_copy_of_a_job_under_another_name_is_no_attempt() -> None:
    copied = kubernetes_job(0)
    copied["metadata"] |= {"name": "my-experiment", "uid": "copy"}
    assert observe.attempts(job(), [copied], [])[0] == ()


def test_a_pod_without_controller_is_a_stray_until_it_is_gone() -> None:
    orphan = raw_pod("orphan")
    del orphan["metadata"]["ownerReferences"]
    assert [pod.name for pod in observe.attempts(job(), [], [orphan])[1]] == ["orphan"]
    assert observe.attempts(job(), [], [], gone=[orphan])[1] == ()


def test_pods_that_vanished_are_kept_as_they_were_seen_last() -> None:
    seen = raw_pod("a", phase="Failed", containerStatuses=left_with(64))
    (attempt,), _ = observe.attempts(job(), [kubernetes_job()], [raw_pod("b", rank=1)], gone=[seen, raw_pod("b", rank=1)])
    lost, there = attempt.pods
    assert (lost.present, lost.over, lost.exit and lost.exit.code) == (False, True, 64)
    assert there.present


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ([], "active"),
        ([condition("FailureTarget")], "active"),
        ([condition("SuccessCriteriaMet")], "active"),
        ([condition("FailureTarget"), condition("Failed", 120)], "failed"),
        ([condition("SuccessCriteriaMet"), condition("Complete", 120)], "complete"),
        ([{**condition("Failed"), "status": "False"}], "active"),
    ],
)
def test_only_final_conditions_end_an_attempt(conditions: list[Manifest], state: str) -> None:
    (attempt,), _ = observe.attempts(job(), [kubernetes_job(conditions=conditions)], [])
    assert attempt.state == state
    assert attempt.ended_at == (None if state == "active" else START + 120)


def test_a_job_held_by_a_queue_has_not_started() -> None:
    raw = kubernetes_job(suspend=True, startTime=rfc3339(START + 7), conditions=[condition("Suspended")])
    (attempt,), _ = observe.attempts(job(), [raw], [])
    assert (attempt.suspended, attempt.stopped, attempt.started_at) == (True, None, None)


@pytest.mark.parametrize(("annotation", "reason"), [("suspend", "suspend"), ("deadline", "deadline"), ("because", "suspend")])
def test_a_stopped_job_says_why(annotation: str, reason: str) -> None:
    raw = kubernetes_job(suspend=True, startTime=rfc3339(START + 7), conditions=[condition("Suspended", 90)])
    raw["metadata"]["annotations"][ANNOTATION_STOPPED] = annotation
    (attempt,), _ = observe.attempts(job(), [raw], [])
    assert (attempt.stopped, attempt.started_at, attempt.ended_at) == (reason, START + 7, START + 90)


@pytest.mark.parametrize(("ttl", "nudges"), [(None, 0), (60, 0), (2_000_000_001, 1), (2_000_000_002, 2)])
def test_nudges_are_counted_in_the_ttl(ttl: int | None, nudges: int) -> None:
    raw = kubernetes_job()
    if ttl is not None:
        raw["spec"]["ttlSecondsAfterFinished"] = ttl
    assert observe.attempts(job(), [raw], [])[0][0].nudges == nudges


def only_pod(raw: Manifest, **observed: Any) -> Any:
    (attempt,), _ = observe.attempts(job(), [kubernetes_job()], [raw], **observed)
    return attempt.pods[0]


def test_a_termination_message_is_read() -> None:
    said = TerminationMessage(exit_code=64, reason="BadDataRow", message="Row 7 is bad.", rank=3)
    pod = only_pod(raw_pod(phase="Failed", containerStatuses=left_with(64, said.model_dump_json(by_alias=True))))
    assert (pod.exit.code, pod.exit.message, pod.exit.log_tail) == (64, said, "")
    assert pod.exit.finished_at == START + 100


def test_another_trainers_log_is_no_termination_message() -> None:
    pod = only_pod(raw_pod(phase="Failed", containerStatuses=left_with(1, "KeyError: 'text'\n")))
    assert (pod.exit.message, pod.exit.log_tail) == (None, "KeyError: 'text'")


def test_a_pod_under_way() -> None:
    scheduled = condition("PodScheduled", 8)
    waiting = only_pod(raw_pod(conditions=[scheduled]))
    assert (waiting.waiting_since, waiting.ready, waiting.ip) == (START + 8, False, None)
    running = only_pod(raw_pod(phase="Running", podIP="10.1.1.1", conditions=[scheduled, condition("Ready")]))
    assert (running.waiting_since, running.ready, running.ip, running.node) == (None, True, "10.1.1.1", "worker-1")


@pytest.mark.parametrize(("ended", "disrupted"), [(None, True), (90, False), (110, True)])
def test_what_a_program_did_before_its_pod_was_taken_away_counts(ended: float | None, disrupted: bool) -> None:
    status = {} if ended is None else {"containerStatuses": left_with(1, at=ended)}
    pod = only_pod(
        raw_pod(phase="Running", conditions=[condition("DisruptionTarget", 100, reason="DeletionByTaintManager")], **status)
    )
    assert pod.disrupted is disrupted


def test_messages_about_volumes_belong_to_their_pod() -> None:
    pod = only_pod(raw_pod(), mount_events={"uid-p": "no such claim", "uid-other": "other"})
    assert pod.trouble.reason == "VolumeNotMounted"
    assert "no such claim" in pod.trouble.message
