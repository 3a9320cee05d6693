"""`describe`: for each way in which a job goes wrong it names the cause and the next step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.api import Api
from cluster.eventually import eventually
from cluster.kubelet import Kubelet, alive
from cluster_cli.finetune import Finetune
from cluster_cli.test_errors import as_user
from finetune_api.contract import ExitCode
from shell.jobs import Submit, Submitted, message

NAN = "Rank 1 failed while training, at step 40: the loss is nan. Lower training.learningRate."
STUCK = "Rank 1 gave no sign of life for 1800 s while training, at step 40."
GPU = "Rank 1 failed while training, at step 2: OutOfMemoryError: CUDA out of memory. The GPU's memory ran out."
ROW = "Preparing the data failed: pairs.jsonl, line 7: there is no field instruction."


def all_run(kubelet: Kubelet) -> list[dict]:
    return [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]


def fails(job: Submitted, kubelet: Kubelet, code: int, text: str = "", reason: str = "Error") -> None:
    """Node 1 fails, node 0 leaves."""
    first, second = all_run(kubelet)
    job.wait("Running")
    kubelet.fail(second, code, text, reason)
    kubelet.wait_for_stopping(1)
    kubelet.finish(first, ExitCode.PREEMPTED)
    job.wait("Failed")


def said(code: ExitCode, reason: str, text: str) -> str:
    return message(code, reason, text, node_rank=1, rank=1, phase="training", step=40)


def out_of_memory(job: Submitted, kubelet: Kubelet) -> None:
    fails(job, kubelet, 137, reason="OOMKilled")


def out_of_gpu_memory(job: Submitted, kubelet: Kubelet) -> None:
    fails(job, kubelet, 64, said(ExitCode.USER_ERROR, "OutOfMemory", GPU))


def user_error(job: Submitted, kubelet: Kubelet) -> None:
    fails(job, kubelet, 64, said(ExitCode.USER_ERROR, "BadDataRow", ROW))


def nan_loss(job: Submitted, kubelet: Kubelet) -> None:
    fails(job, kubelet, 64, said(ExitCode.USER_ERROR, "NonFiniteLoss", NAN))


def stalled(job: Submitted, kubelet: Kubelet) -> None:
    fails(job, kubelet, 76, said(ExitCode.STALLED, "Stalled", STUCK))


def killed(job: Submitted, kubelet: Kubelet) -> None:
    fails(job, kubelet, 137)


def image_typo(job: Submitted, kubelet: Kubelet) -> None:
    kubelet.image_pull_backoff(kubelet.wait_for_pods(2)[0])
    eventually(lambda: job.condition("Running").get("reason") == "ImagePullFailed")


def unschedulable(job: Submitted, kubelet: Kubelet) -> None:
    kubelet.unschedulable(kubelet.wait_for_pods(2)[0])
    eventually(lambda: job.condition("Running").get("reason") == "PodUnschedulable")


def lost_node(job: Submitted, kubelet: Kubelet) -> None:
    kubelet.lose(all_run(kubelet)[1])
    eventually(lambda: job.status().get("lastFailure", {}).get("reason") == "NodeLost")


def preempted(job: Submitted, kubelet: Kubelet) -> None:
    """The scheduler wants its place: it marks the pod and deletes it."""
    pod = all_run(kubelet)[0]
    job.wait("Running")
    name = pod["metadata"]["name"]
    marked = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "preempting"}
    job.api.patch("Pod", job.namespace, name, {"status": {"conditions": [marked]}}, "status", strategic=True)
    job.api.delete("Pod", job.namespace, name)
    eventually(lambda: job.status().get("lastFailure", {}).get("reason") == "Preempted")


@pytest.mark.parametrize(
    ("happens", "heading", "told", "cause", "step"),
    [
        (out_of_memory, "Failed", "OutOfMemory: exit code 137", "used more memory than resources.limits.memory", "Raise resources"),
        (out_of_gpu_memory, "Failed", "OutOfMemory: rank 1, exit code 64 (USER_ERROR)", "GPU's memory", "gradientCheckpointing"),
        (user_error, "Failed", "BadDataRow: rank 1, exit code 64", "line 7: there is no field instruction", "finetune validate"),
        (nan_loss, "Failed", "NonFiniteLoss: rank 1", "learning rate is too high, or fp16 overflowed", "bf16 or fp32"),
        (stalled, "Failed", "Stalled: rank 1, exit code 76 (STALLED)", "A rank hangs", "The stack of every rank"),
        (killed, "Failed", "Killed: exit code 137", "SIGKILL", "kubectl describe node node-1"),
        (image_typo, "Pending", "0 of 2 nodes run", "The name or tag of the image is mistyped", "spec.trainer.image"),
        (unschedulable, "Pending", "0 of 2 nodes run", "No node has room for it", "kubectl describe nodes"),
        (lost_node, "Running", "NodeLost: pod a-0-1-", "Node node-1 does not answer any more", "kubectl get node node-1"),
        (preempted, "Running", "Preempted: pod a-0-0-", "pod of higher priority", "Nothing: it goes on from its last checkpoint"),
    ],
)
def test_cause_and_next_step(
    finetune: Finetune,
    submit: Submit,
    kubelet: Kubelet,
    namespace: str,
    happens: Callable[[Submitted, Kubelet], None],
    heading: str,
    told: str,
    cause: str,
    step: str,
):
    job = submit(run_policy={"maxRestarts": 0})
    happens(job, kubelet)
    text = finetune.says("describe", "a")
    print(text)
    assert text.startswith(f"FineTuneJob a in namespace {namespace}: {heading}\n")
    happened, _, rest = flat(text).partition("Likely cause")
    likely, _, steps = rest.partition("What to do 1.")
    assert told in happened and cause in likely and step in steps


def test_what_a_job_lacks(finetune: Finetune, submit: Submit):
    submit(model={"source": "hf://a/b", "tokenSecretRef": {"name": "hf"}}).wait("Pending")
    text = flat(finetune.says("describe", "a"))
    assert "Likely cause There is no Secret hf in this namespace" in text
    assert "What to do 1. Create it; the job then starts by itself" in text


def test_attempt_by_attempt(finetune: Finetune, submit: Submit, kubelet: Kubelet):
    """A crash, an eviction, and a user error at last."""
    job = submit(run_policy={"maxRestarts": 2})
    first, second = all_run(kubelet)
    job.wait("Running")
    kubelet.fail(first, 75, message(ExitCode.RETRYABLE, "Crashed", "Rank 0 crashed.", rank=0))
    kubelet.wait_for_stopping(1)
    kubelet.finish(second, ExitCode.PREEMPTED)
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2, "a-1")]
    job.wait("Running", attempt=1)
    kubelet.evict(first)
    eventually(lambda: not alive(kubelet.pods("a-1")[-1]))
    for pod in kubelet.pods("a-1"):
        if "deletionTimestamp" in pod["metadata"]:
            kubelet.finish(pod, ExitCode.PREEMPTED)
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2, "a-2")]
    job.wait("Running", attempt=2)
    kubelet.fail(second, 64, said(ExitCode.USER_ERROR, "BadDataRow", ROW))
    kubelet.wait_for_stopping(1)
    kubelet.finish(first, ExitCode.PREEMPTED)
    job.wait("Failed")
    text = finetune.says("describe", "a")
    print(text)
    happened = flat(text)
    assert "attempt 0, ran" in happened and "Crashed: rank 0, exit code 75 (RETRYABLE)" in happened
    assert "restarted (1 of 2)" in happened and "continued, free of charge" in happened and "given up" in happened
    assert happened.index("Crashed") < happened.index("free of charge") < happened.index("BadDataRow")


def test_an_attempt_of_somebody_who_sees_only_jobs(finetune: Finetune, submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit()
    all_run(kubelet)
    job.wait("Running")
    rules = [{"apiGroups": ["finetune.dev"], "resources": ["finetunejobs"], "verbs": ["get", "list"]}]
    with as_user(finetune, api, namespace, rules):
        result = finetune.run("describe", "a")
    assert result.exit_code == 0 and "a in namespace" in result.stdout
    assert result.stderr.count("Not everything is told here. You may not list") == 3


def flat(text: str) -> str:
    """On one line, single spaces."""
    return " ".join(text.split())
