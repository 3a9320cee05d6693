"""Suspension, deadline and time to live."""

from __future__ import annotations

import time

from cluster.api import Api
from cluster.automatic_kubelet import AutomaticKubelet
from cluster.eventually import eventually
from cluster.kubelet import Kubelet, alive
from finetune_api.contract import ExitCode
from shell.jobs import Submit


def test_a_job_that_is_created_suspended_waits(submit: Submit, kubelet: Kubelet):
    job = submit(run_policy={"suspend": True})
    job.wait("Suspended")
    assert job.attempts() == [] and kubelet.pods() == []
    job.change(suspend=False)
    kubelet.wait_for_pods(2, "a-0")


def test_a_suspended_job_saves_and_goes_on(submit: Submit, kubelet: Kubelet):
    job = submit()
    for pod in kubelet.wait_for_pods(2):
        kubelet.run(pod)
    job.wait("Running")
    job.change(suspend=True)
    first, second = kubelet.wait_for_stopping(2)
    assert job.wait("Suspending")["attempt"] == 0
    kubelet.finish(first, ExitCode.PREEMPTED)
    job.change(suspend=False)
    time.sleep(0.6)  # One of them still saves: nothing may start beside it.
    assert job.attempts() == [0] and len(kubelet.pods()) == 1
    kubelet.finish(second, ExitCode.PREEMPTED)
    kubelet.wait_for_pods(2, "a-1")
    status = job.wait("Pending", attempt=1)
    assert (status["restarts"], status["preemptions"]) == (0, 0)


def test_a_suspended_job_says_so(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit()
    with AutomaticKubelet(api, namespace, exit_code=ExitCode.PREEMPTED):
        job.wait("Running")
        job.change(suspend=True)
        job.wait("Suspended")
    assert job.condition("Suspended")["status"] == "True" and job.condition("Running")["status"] == "False"
    job.wait_for_events("Suspended")
    assert kubelet.pods() == []


def test_toggled_again_and_again_two_generations_never_meet(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit()
    with AutomaticKubelet(api, namespace, exit_code=ExitCode.PREEMPTED, stop_seconds=0.3):
        job.wait("Running")
        for _ in range(6):
            job.change(suspend=True)
            time.sleep(0.15)
            job.change(suspend=False)
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                assert len({pod["metadata"]["labels"]["finetune.dev/attempt"] for pod in kubelet.pods()}) <= 1
        job.wait("Running", nodes={"desired": 2, "ready": 2})
    status = job.status()
    assert (status["restarts"], status["preemptions"]) == (0, 0) and status["attempt"] == job.attempts()[-1] > 0


def test_the_deadline_stops_the_job(submit: Submit, api: Api, namespace: str):
    job = submit(run_policy={"activeDeadlineSeconds": 2, "gracefulStopSeconds": 1})
    with AutomaticKubelet(api, namespace, exit_code=ExitCode.PREEMPTED):
        job.wait("Running")
        job.wait("Failed")
    assert job.condition("Failed")["reason"] == "DeadlineExceeded"
    eventually(lambda: not [pod for pod in api.list("Pod", namespace) if alive(pod)])


def test_a_finished_job_goes_when_its_time_has_come(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit(nodes=1, run_policy={"ttlSecondsAfterFinished": 1})
    kubelet.succeed(kubelet.run(kubelet.wait_for_pods(1)[0]))
    eventually(lambda: api.find("FineTuneJob", namespace, "a") is None)
    eventually(lambda: job.attempts() == [], seconds=60)  # The garbage collector looks for new kinds twice a minute.


def test_the_time_to_live_may_be_set_later(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit(nodes=1)
    kubelet.succeed(kubelet.run(kubelet.wait_for_pods(1)[0]))
    job.wait("Succeeded")
    job.change(ttlSecondsAfterFinished=0)
    eventually(lambda: api.find("FineTuneJob", namespace, "a") is None)
