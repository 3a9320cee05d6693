"""From CREATE to the end: what a job becomes on a real control plane."""

from __future__ import annotations

from cluster.api import Api
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from cluster.operator_process import IMAGE
from cluster.progress_server import serve_progress
from finetune_api.contract import ExitCode
from finetune_api.names import NUDGE_TTL_SECONDS
from shell.jobs import Submit, message, training


def test_a_job_runs_and_succeeds(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit()
    first, second = kubelet.wait_for_pods(2)
    assert job.wait("Pending")["attempt"] == 0
    assert job.condition("Accepted")["status"] == "True"
    assert first["spec"]["containers"][0]["image"] == IMAGE
    assert api.get("Service", namespace, "ftj-a")["spec"]["clusterIP"] == "None"
    assert "job.yaml" in api.get("ConfigMap", namespace, "ftj-a")["data"]
    for child in ("Service", "ftj-a"), ("ConfigMap", "ftj-a"), ("Job", "a-0"):
        assert api.get(child[0], namespace, child[1])["metadata"]["ownerReferences"][0]["uid"] == job.read()["metadata"]["uid"]
    first, second = kubelet.run(first), kubelet.run(second)
    assert job.wait("Running", nodes={"desired": 2, "ready": 2})["summary"]["nodes"] == "2/2"
    done = training(100, attempt=0)
    kubelet.succeed(first, message(ExitCode.OK, "Completed", progress=done))
    kubelet.succeed(second, message(ExitCode.OK, "Completed", node_rank=1))
    status = job.wait("Succeeded")
    assert job.condition("Succeeded")["status"] == "True" and job.condition("Failed")["status"] == "False"
    assert (status["summary"]["step"], status["output"], status["restarts"]) == ("100/100", "pvc://runs/a", 0)
    job.wait_for_events("Succeeded")


def test_progress_of_node_0_is_shown(submit: Submit, kubelet: Kubelet):
    job = submit()
    steps = iter(range(1, 1000))
    pods = kubelet.wait_for_pods(2)
    first = kubelet.run(pods[0])
    with serve_progress(first["status"]["podIP"], lambda: training(next(steps))):
        kubelet.run(pods[1])
        eventually(lambda: job.status().get("progress", {}).get("step", 0) > 0)
        eventually(lambda: job.status()["progress"]["step"] > 1)
    summary = job.status()["summary"]
    assert (summary["loss"], summary["eta"]) == ("1.5", "1m00s")


def test_writes_are_few(submit: Submit, control_plane: ControlPlane, namespace: str, kubelet: Kubelet):
    """From CREATE to both pods: what the operator and the controllers write for one job."""
    before = control_plane.audit.here()
    job = submit()
    pods = kubelet.wait_for_pods(2)
    job.wait("Pending")
    eventually(lambda: len(_writes(control_plane, before, namespace, "operator")) >= 4)
    for pod in pods:
        kubelet.run(pod)
    job.wait("Running", nodes={"desired": 2, "ready": 2})
    mine = _writes(control_plane, before, namespace, "operator")
    assert all(status < 300 for _, status in mine), mine
    assert [verb for verb, _ in mine].count("create") == 3
    assert len(mine) <= 7, mine


def _writes(control_plane: ControlPlane, before: int, namespace: str, user: str) -> list[tuple[str, int]]:
    writes = control_plane.audit.writes(before)
    return [(write.verb, write.status) for write in writes if (write.namespace, write.user) == (namespace, user)]


def test_a_user_error_ends_the_job(submit: Submit, kubelet: Kubelet):
    job = submit(run_policy={"maxRestarts": 3})
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    kubelet.fail(first, ExitCode.USER_ERROR, message(ExitCode.USER_ERROR, "BadDataRow", "Row 7 has no text."))
    (peer,) = kubelet.wait_for_stopping(1)
    assert peer["metadata"]["uid"] == second["metadata"]["uid"]
    kubelet.finish(peer, ExitCode.PREEMPTED)
    status = job.wait("Failed")
    assert status["lastFailure"]["reason"] == "BadDataRow" and "Row 7" in status["message"]
    assert job.attempts() == [0] and job.condition("Failed")["status"] == "True"
    job.wait_for_events("Failed")


def test_a_failed_pod_restarts_the_gang(submit: Submit, kubelet: Kubelet):
    job = submit(run_policy={"maxRestarts": 1})
    for attempt in (0, 1):
        pods = kubelet.wait_for_pods(2, f"a-{attempt}")
        first, _ = [kubelet.run(pod) for pod in pods]
        job.wait("Running", attempt=attempt)
        kubelet.fail(first, ExitCode.RETRYABLE, message(ExitCode.RETRYABLE, "OutOfMemory"))
        kubelet.finish(kubelet.wait_for_stopping(1)[0], ExitCode.PREEMPTED)
    status = job.wait("Failed", restarts=1, attempt=1)
    assert status["lastFailure"]["reason"] == "OutOfMemory"
    assert job.condition("Failed")["reason"] == "MaxRestartsExceeded"
    assert job.attempts() == [0, 1]
    job.wait_for_events("Restarting", "Failed")


def test_the_job_controller_is_nudged(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    """It takes note of pods once a second, twice in a failure. A change of the Job's spec it looks at without delay."""
    submit()
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    kubelet.fail(first, ExitCode.RETRYABLE)
    assert kubelet.wait_for_stopping(1)[0]["metadata"]["uid"] == second["metadata"]["uid"]
    eventually(lambda: api.get("Job", namespace, "a-0")["spec"].get("ttlSecondsAfterFinished") == NUDGE_TTL_SECONDS + 1)
    kubelet.finish(second)
    eventually(lambda: api.get("Job", namespace, "a-0")["spec"]["ttlSecondsAfterFinished"] == NUDGE_TTL_SECONDS + 2)
    kubelet.wait_for_pods(2, "a-1")


def test_preemption_is_not_charged(submit: Submit, kubelet: Kubelet):
    job = submit(run_policy={"maxRestarts": 0})
    first, _ = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    kubelet.evict(first)
    kubelet.finish(kubelet.wait_for_stopping(1)[0], ExitCode.PREEMPTED)
    kubelet.wait_for_pods(2, "a-1")
    assert job.wait("Restarting", preemptions=1)["restarts"] == 0
    job.wait_for_events("Preempted")


def test_a_deleted_attempt_is_replaced(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit()
    pods = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    job.wait("Running")
    api.delete("Job", namespace, "a-0")
    for pod in kubelet.wait_for_stopping(2):
        kubelet.finish(pod)
    replaced = kubelet.wait_for_pods(2, "a-1")
    assert {pod["metadata"]["uid"] for pod in replaced}.isdisjoint(pod["metadata"]["uid"] for pod in pods)
    assert job.wait("Restarting", attempt=1)["preemptions"] == 1


def test_a_deleted_job_leaves_nothing(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit()
    for pod in kubelet.wait_for_pods(2):
        kubelet.run(pod)
    job.wait("Running")
    job.delete()
    for pod in kubelet.wait_for_stopping(2):
        kubelet.finish(pod)
    for kind in ("Pod", "Job", "Service"):
        eventually(lambda kind=kind: not api.list(kind, namespace))
    assert api.find("ConfigMap", namespace, "ftj-a") is None
