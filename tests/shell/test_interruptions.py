"""The operator is killed, the API server is killed, a job is deleted and created again: jobs go on as if nothing had happened."""

from __future__ import annotations

import random
import time

import pytest

from cluster.api import Api
from cluster.automatic_kubelet import AutomaticKubelet
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from cluster.process import Process
from finetune_api.contract import ExitCode
from shell.jobs import Submit, message


def _kill(operator: Process, within: float) -> None:
    """kill -9 at some moment of the next `within` seconds, and start it again."""
    time.sleep(random.uniform(0, within))
    operator.kill()
    operator.start()


def test_the_operator_is_killed_at_any_moment(submit: Submit, operator: Process, api: Api, namespace: str, kubelet: Kubelet):
    job = submit(run_policy={"maxRestarts": 1})
    _kill(operator, 0.1)
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2, "a-0", seconds=20)]
    _kill(operator, 0.1)
    kubelet.fail(first, ExitCode.RETRYABLE, message(ExitCode.RETRYABLE, "Crashed"))
    kubelet.wait_for_stopping(1, seconds=20)
    _kill(operator, 0.1)
    kubelet.finish(second, ExitCode.PREEMPTED)
    _kill(operator, 0.5)
    for pod in kubelet.wait_for_pods(2, "a-1", seconds=20):
        kubelet.run(pod)
    job.wait("Running", 20, attempt=1, restarts=1)
    job.change(suspend=True)
    _kill(operator, 0.1)
    for pod in kubelet.wait_for_stopping(2, seconds=20):
        kubelet.finish(pod, ExitCode.PREEMPTED)
    _kill(operator, 0.5)
    job.wait("Suspended", 20)
    job.change(suspend=False)
    _kill(operator, 0.1)
    for pod in kubelet.wait_for_pods(2, "a-2", seconds=20):
        kubelet.succeed(kubelet.run(pod))
    status = job.wait("Succeeded", 20)
    assert (status["attempt"], status["restarts"], status["preemptions"]) == (2, 1, 0)
    assert job.attempts() == [0, 1, 2]


def test_what_happened_meanwhile_is_found(submit: Submit, operator: Process, kubelet: Kubelet):
    """The failed pod is there, the peer that was stopped is gone for good when the operator comes back."""
    job = submit()
    first, _ = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    job.wait("Running")
    operator.kill()
    kubelet.fail(first, ExitCode.USER_ERROR, message(ExitCode.USER_ERROR, "BadDataRow"))
    kubelet.finish(kubelet.wait_for_stopping(1)[0])
    operator.start()
    assert job.wait("Failed", 20)["lastFailure"]["reason"] == "BadDataRow"


def test_the_operator_finishes_and_leaves(submit: Submit, operator: Process):
    submit().wait("Pending")
    assert operator.stop(10) == 0
    operator.start()
    submit("b").wait("Pending", 20)


def test_the_api_server_goes_away_and_comes_back(submit: Submit, control_plane: ControlPlane, operator: Process, kubelet: Kubelet):
    job = submit()
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    job.wait("Running")
    control_plane.api_server.kill()
    time.sleep(1.0)
    control_plane.start_api_server()
    kubelet.fail(first, ExitCode.RETRYABLE)
    kubelet.wait_for_stopping(1, seconds=30)
    kubelet.finish(second)
    kubelet.wait_for_pods(2, "a-1", seconds=30)
    assert operator.running


def test_a_job_that_is_created_again_waits_for_the_pods_of_the_old_one(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    old = submit()
    pods = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    old.wait("Running")
    uid = old.read()["metadata"]["uid"]
    old.delete()
    kubelet.wait_for_stopping(2, seconds=60)  # Kubernetes' collector looks for new kinds of owners every 30 s.
    eventually(lambda: api.find("FineTuneJob", namespace, "a") is None)
    new = submit()
    assert new.read()["metadata"]["uid"] != uid
    assert pods[0]["metadata"]["name"] in new.wait("Pending")["message"]
    kubelet.finish(pods[0])
    assert new.attempts() == []
    kubelet.finish(pods[1])
    fresh = kubelet.wait_for_pods(2)
    assert {pod["metadata"]["labels"]["finetune.dev/job-uid"] for pod in fresh} == {new.read()["metadata"]["uid"]}
    for child in ("Service", "ConfigMap"):
        eventually(
            lambda child=child: (
                api.get(child, namespace, "ftj-a")["metadata"]["ownerReferences"][0]["uid"] == new.read()["metadata"]["uid"]
            )
        )


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.2])
def test_a_job_may_be_deleted_at_any_moment(submit: Submit, api: Api, namespace: str, moment: float):
    with AutomaticKubelet(api, namespace):
        job = submit()
        time.sleep(moment)
        job.delete()
        eventually(lambda: api.find("FineTuneJob", namespace, "a") is None)
        for kind in ("Job", "Pod", "Service"):
            eventually(lambda kind=kind: not api.list(kind, namespace), 20)
