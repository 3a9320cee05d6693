"""`submit`, `list`, `status`, `suspend`, `resume`: a job's life as its user sees it."""

from __future__ import annotations

import signal

import pytest

from cluster.api import Api
from cluster.automatic_kubelet import AutomaticKubelet
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from cluster.process import Process
from cluster.progress_server import serve_progress
from cluster_cli.finetune import Finetune, Terminal, write
from finetune_api.contract import ExitCode
from finetune_cli.cluster import explain
from shell.jobs import Submit, claim, finetune_job, message, training


@pytest.fixture
def job_file(operator: Process, api: Api, namespace: str) -> dict[str, object]:
    """A job that the cluster takes."""
    api.create(claim(namespace))
    manifest = finetune_job(namespace, "a")
    del manifest["metadata"]["namespace"]
    return manifest


def test_a_job_is_followed_to_its_end(finetune: Finetune, job_file: dict[str, object], kubelet: Kubelet, namespace: str):
    program = finetune.start("submit", write(job_file), "--plain")
    program.read_until(f"^FineTuneJob a created in namespace {namespace}.$")
    first, second = kubelet.wait_for_pods(2)
    program.read_until(r"Pending \(attempt 0\): Waiting for all nodes to start")
    first = kubelet.run(first)
    with serve_progress(first["status"]["podIP"], lambda: training(7)):
        second = kubelet.run(second)
        program.read_until(r"Running \(attempt 0\)")
        program.read_until(r"step   7/100  loss 1\.5000")
    kubelet.succeed(first, message(ExitCode.OK, "Completed", progress=training(100)))
    kubelet.succeed(second, message(ExitCode.OK, "Completed", node_rank=1))
    assert program.end() == 0, program.output
    assert "a has succeeded. Finished. The results are in pvc://runs/a.\nstep 100/100" in program.output
    assert program.output.rstrip().endswith(f"finetune chat a -n {namespace}")


def test_a_failed_job_is_exit_code_1(finetune: Finetune, job_file: dict[str, object], kubelet: Kubelet):
    program = finetune.start("submit", write(job_file))
    pods = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    kubelet.fail(pods[0], ExitCode.USER_ERROR, message(ExitCode.USER_ERROR, "BadDataRow", "Row 7 has no text."))
    kubelet.finish(kubelet.wait_for_stopping(1)[0], ExitCode.PREEMPTED)
    assert program.end() == 1
    assert "a has failed. Row 7 has no text." in program.output and "finetune describe a" in program.output


def test_the_live_view_in_a_terminal(finetune: Finetune, submit: Submit, kubelet: Kubelet, namespace: str):
    """It is drawn, taken away again, and followed by the last words."""
    job = submit(nodes=1)
    pod = kubelet.run(kubelet.wait_for_pods(1)[0])
    terminal = Terminal(finetune, "status", "a")
    with serve_progress(pod["status"]["podIP"], lambda: training(7)):
        job.wait("Running")
        terminal.read_until("7/100")
    kubelet.succeed(pod, message(ExitCode.OK, "Completed", progress=training(100)))
    assert terminal.end() == 0
    assert "Ctrl-C leaves, the job goes on" in terminal.output
    assert terminal.output.replace("\r", "").rstrip().endswith(f"finetune chat a -n {namespace}")


def test_ctrl_c_leaves_the_job_alone(finetune: Finetune, job_file: dict[str, object], api: Api, namespace: str):
    program = finetune.start("submit", write(job_file))
    program.read_until("Pending")
    program.signal(signal.SIGINT)
    assert program.end() == 130 and "Traceback" not in program.output
    assert api.get("FineTuneJob", namespace, "a")["spec"]["runPolicy"]["suspend"] is False


def test_what_is_wrong_is_said_before_anything_is_stored(finetune: Finetune, api: Api, namespace: str):
    bad = finetune_job(namespace, "bad", output={}, training={"learningRat": 1})
    text = finetune.says("submit", write(bad), exit_code=2)
    assert "job.yaml:" in text and "learningRate" in text and "output.volume" in text
    assert api.find("FineTuneJob", namespace, "bad") is None


def test_two_namespaces_contradict_each_other(finetune: Finetune):
    text = finetune.says("submit", write(finetune_job("here")), "-n", "there", exit_code=2)
    assert text == "job.yaml is for namespace here, and --namespace says there: leave out one of them.\n"


def test_a_job_that_is_there_is_changed_where_it_may_be(finetune: Finetune, job_file: dict[str, object], api: Api, namespace: str):
    assert "created" in finetune.says("submit", write(job_file), "--detach")
    assert "exists in namespace" in finetune.says("submit", write(job_file), "--detach")
    assert "changed" in finetune.says("submit", write(job_file), "--detach", "--set", "spec.runPolicy.maxRestarts=7")
    api.patch("FineTuneJob", namespace, "a", {"spec": {"runPolicy": {"suspend": True, "maxRestarts": 9}}})
    finetune.says("submit", write(job_file), "--detach", "--set", "spec.runPolicy.maxRestarts=8")
    policy = api.get("FineTuneJob", namespace, "a")["spec"]["runPolicy"]
    assert (policy["maxRestarts"], policy["suspend"]) == (8, True), "what is not in the file stays as it is, what is in it counts"
    text = finetune.says("submit", write(job_file), "--detach", "--set", "spec.distributed.nodes=3", exit_code=2)
    assert text.startswith("spec.distributed: distributed cannot be changed after the job was created.") and text.count("\n") == 1


def test_other_objects_of_the_file_are_named(finetune: Finetune, job_file: dict[str, object], namespace: str):
    path = write(job_file)
    path.write_text(f"{path.read_text()}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n")
    text = finetune.says("submit", path, "--detach")
    assert "ConfigMap is left out" in text and "a created" in text


@pytest.mark.usefixtures("nobody_else")
def test_without_an_operator_it_says_so(finetune: Finetune, job_file: dict[str, object], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(explain, "SILENT_SECONDS", 1.0)
    text = finetune.says("submit", write(job_file), "--plain", exit_code=2)
    assert "The job is stored, but no operator has looked at it." in text.splitlines()[-1]
    assert "no operator has looked at it yet" in finetune.says("list")
    text = finetune.says("describe", "a")
    assert "No operator has looked at this job" in text and "kubectl get deployments" in text


def test_list(finetune: Finetune, submit: Submit, kubelet: Kubelet, namespace: str):
    assert finetune.says("list") == f"There are no FineTuneJobs in namespace {namespace}. All namespaces: --all-namespaces.\n"
    job = submit()
    first, second = kubelet.wait_for_pods(2)
    first = kubelet.run(first)
    with serve_progress(first["status"]["podIP"], lambda: training(7)):
        kubelet.run(second)
        job.wait("Running")
        eventually(lambda: job.status()["summary"]["step"] == "7/100")
    head, row = finetune.says("list").splitlines()
    assert head.split() == "NAME PHASE STEP LOSS ETA NODES RESTARTS AGE MESSAGE".split()
    assert row.split()[:7] == ["a", "Running", "7/100", "1.5", "1m00s", "2/2", "0"]
    assert row.index("Running") == head.index("PHASE") and row.index("7/100") == head.index("STEP")
    assert namespace in finetune.says("list", "--all-namespaces")
    assert "Running (attempt 0)" in finetune.says("status", "ftj/a", "--once")


def test_suspend_and_resume(finetune: Finetune, submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit()
    with AutomaticKubelet(api, namespace, exit_code=ExitCode.PREEMPTED):
        job.wait("Running")
        assert f"Continue it: finetune resume a -n {namespace}" in finetune.says("suspend", "a")
        assert job.status()["phase"] == "Suspended" and kubelet.pods() == []
        assert "resume" in finetune.says("describe", "a")
        finetune.says("resume", "a")
        assert job.wait("Running", attempt=1)["restarts"] == 0
    assert "resumed" in finetune.says("describe", "a")


def test_suspend_of_a_job_that_is_over(finetune: Finetune, submit: Submit, kubelet: Kubelet):
    job = submit(nodes=1)
    kubelet.succeed(kubelet.run(kubelet.wait_for_pods(1)[0]), message(ExitCode.OK, "Completed"))
    job.wait("Succeeded")
    assert "has succeeded already" in finetune.says("suspend", "a", exit_code=1)
    assert not job.read()["spec"]["runPolicy"]["suspend"]
