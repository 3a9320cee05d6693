"""`pull`: the pod that reads the volume, and all that can keep it from doing so. Nothing runs pods here: see e2e/test_cli.py."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from cluster.api import Api
from cluster.eventually import eventually
from cluster.kubelet import Kubelet, stopping
from cluster_cli.finetune import Finetune
from cluster_cli.test_errors import as_user, line
from finetune_api.contract import ExitCode
from finetune_cli.cluster.reader_pod import LABEL_READER
from shell.jobs import Submit, Submitted, message

Manifest = dict[str, Any]


@pytest.fixture
def finished(submit: Submit, kubelet: Kubelet) -> Submitted:
    """A job that has succeeded; its nodes tolerate a taint, and its files belong to a user of its own."""
    pod = {"tolerations": [{"key": "gpu", "operator": "Exists"}], "securityContext": {"runAsUser": 1234}}
    job = submit(nodes=1, podTemplate={"spec": pod})
    kubelet.succeed(kubelet.run(kubelet.wait_for_pods(1)[0]), message(ExitCode.OK, "Completed"))
    job.wait("Succeeded")
    return job


def readers(api: Api, namespace: str) -> list[Manifest]:
    """Pods that read for a job, and were not told to stop."""
    return [pod for pod in api.list("Pod", namespace, labels=LABEL_READER) if not stopping(pod)]


def reader(api: Api, namespace: str) -> Manifest:
    """The one that there will be."""
    return eventually(lambda: readers(api, namespace), 20)[0]


def test_the_pod_may_do_nothing_but_read(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    """The namespace enforces restricted Pod Security: a pod that is not would not be there at all."""
    program = finetune.start("pull", "a")
    pod = reader(api, namespace)
    program.signal(signal.SIGINT)
    program.end()
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert pod["metadata"]["name"].startswith("a-read-")
    assert pod["metadata"]["ownerReferences"][0]["uid"] == finished.read()["metadata"]["uid"]
    assert "finetune.dev/job" not in pod["metadata"]["labels"], "the operator would take it for one of its own"
    assert spec["automountServiceAccountToken"] is False and spec["activeDeadlineSeconds"] == 3600
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (1234, True)
    assert {"key": "gpu", "operator": "Exists"} in spec["tolerations"]
    assert container["image"] == "example/trainer:1" and "env" not in container
    assert [(mount["mountPath"], mount["readOnly"]) for mount in container["volumeMounts"]] == [("/volume", True)]
    assert spec["volumes"] == [{"name": "volume", "persistentVolumeClaim": {"claimName": "runs"}}]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_pod_goes_with_the_command(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, number: signal.Signals, code: int
):
    program = finetune.start("pull", "a")
    reader(api, namespace)
    program.signal(number)
    assert program.end() == code and "Traceback" not in program.output
    assert readers(api, namespace) == []


def test_a_pod_that_cannot_start(finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet):
    program = finetune.start("pull", "a")
    kubelet.image_pull_backoff(reader(api, namespace))
    assert program.end() == 2
    assert program.output.count("\n") == 1 and "cannot start. The image example/trainer:1 cannot be pulled" in program.output
    assert readers(api, namespace) == []


def test_a_pod_that_finds_no_place(finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet):
    program = finetune.start("pull", "a", "--timeout", "1")
    kubelet.unschedulable(reader(api, namespace), "0/2 nodes are available: 2 node(s) had volume node affinity conflict.")
    assert program.end() == 2
    assert "has not started within 1 s. It cannot be scheduled: 0/2 nodes" in program.output
    assert readers(api, namespace) == []


def test_a_pod_that_is_waited_for_in_vain(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    text = line(finetune.env, "pull", "a", "--timeout", "1")
    assert (
        f"has not started within 1 s. Wait longer with --timeout, or see what is in its way: kubectl get events -n {namespace}"
        in text
    )
    assert readers(api, namespace) == []


def test_a_pod_that_a_command_left_behind_is_swept(
    finetune: Finetune, finished: Submitted, api: Api, namespace: str, kubelet: Kubelet
):
    program = finetune.start("pull", "a")
    left = reader(api, namespace)
    program.kill()
    kubelet.fail(left, 1, reason="DeadlineExceeded")
    line(finetune.env, "pull", "a", "--timeout", "1")
    assert readers(api, namespace) == []


def test_a_claim_that_is_gone(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    for pod in api.list("Pod", namespace):  # It is not let go of while a pod has it.
        api.delete("Pod", namespace, pod["metadata"]["name"], grace=0)
    api.delete("PersistentVolumeClaim", namespace, "runs")
    eventually(lambda: api.find("PersistentVolumeClaim", namespace, "runs") is None)
    assert line(finetune.env, "pull", "a") == f"The claim runs is gone from namespace {namespace}, and what a wrote with it.\n"


def test_a_job_that_has_not_started(finetune: Finetune, submit: Submit):
    submit(run_policy={"suspend": True}).wait("Suspended")
    assert "a has not started, so there is nothing to fetch. Suspended." in line(finetune.env, "pull", "a")


def test_a_job_without_output(finetune: Finetune, submit: Submit):
    submit(output={}, model=None, dataset=None, trainer={"command": ["true"]})
    assert "has no output volume" in line(finetune.env, "pull", "a")


@pytest.mark.parametrize("holds", ["someone's notes", '{"from": "pvc://other/job"}'])
def test_files_of_others_are_not_touched(finetune: Finetune, finished: Submitted, api: Api, namespace: str, holds: str):
    folder = Path("runs/a")
    folder.mkdir(parents=True)
    (folder / ".finetune-pulled.json").write_text(holds)
    text = line(finetune.env, "pull", "a")
    held = "what was fetched from pvc://other/job" if holds.startswith("{") else "other files"
    assert text == f"runs/a holds {held}. Name another folder.\n"
    assert readers(api, namespace) == [] and (folder / ".finetune-pulled.json").read_text() == holds


def test_who_may_not_make_pods_is_told(finetune: Finetune, finished: Submitted, api: Api, namespace: str):
    rules = [
        {"apiGroups": ["finetune.dev"], "resources": ["finetunejobs"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
    ]
    with as_user(finetune, api, namespace, rules):
        text = line(finetune.env, "pull", "a")
    assert text.startswith("You may not create pods") and f"kubectl auth can-i create pods -n {namespace}" in text
