"""What is measured: each function performs one round of one side and returns its numbers."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench.operator import process_cost, shapes
from bench.operator.stage import Stage
from cluster.audit import Write
from cluster.automatic_kubelet import AutomaticKubelet
from cluster.eventually import eventually
from cluster.kubelet import Kubelet, index
from cluster.progress_server import serve_progress
from finetune_api.contract import ExitCode, Progress

_numbers = itertools.count()


@dataclass(frozen=True)
class Batch:
    """Jobs submitted together, nobody running their pods.

    Attributes:
        seconds: from the first CREATE received to the last pod made.
        writes: all about them, by whomever, until nothing more came.
        operator_cpu: CPU seconds of the operator meanwhile.
        operator_rss: its memory in MiB while all of them are there.
    """

    seconds: float
    writes: list[Write]
    operator_cpu: float
    operator_rss: float


def batch(stage: Stage, side: shapes.Side, namespace: str, count: int) -> Batch:
    """Submit `count` jobs and wait until all their pods exist."""
    since, cpu = stage.plane.audit.here(), process_cost.cpu_seconds(stage.operator.pid)
    stage.submit([side.job(namespace, f"job-{next(_numbers)}") for _ in range(count)])
    stage.until(since, lambda writes: len(_pods_made(writes, namespace)) >= count * shapes.NODES)
    stage.quiet(stage.plane.audit.here())
    writes = _of(stage.plane.audit.writes(since), namespace)
    pods = _pods_made(writes, namespace)
    return Batch(
        seconds=max(pod.answered for pod in pods) - min(write.received for write in writes),
        writes=writes,
        operator_cpu=process_cost.cpu_seconds(stage.operator.pid) - cpu,
        operator_rss=process_cost.rss_mib(stage.operator.pid),
    )


def alone(stage: Stage, side: shapes.Side, namespace: str) -> float:
    """Milliseconds from CREATE to the last pod of a single job on an idle system; the job is removed again."""
    seconds = batch(stage, side, namespace, 1).seconds
    remove_jobs(stage, side, namespace)
    return seconds * 1000


def remove_jobs(stage: Stage, side: shapes.Side, namespace: str) -> None:
    """Delete the jobs of a namespace and wait until their pods are gone."""
    since = stage.plane.audit.here()
    for job in stage.api.list(side.kind, namespace):
        stage.api.delete(side.kind, namespace, job["metadata"]["name"])
    eventually(lambda: not stage.api.list("Pod", namespace) and not stage.api.list("Job", namespace), 60)
    stage.quiet(since)


def whole_life(stage: Stage, side: shapes.Side, namespace: str, count: int) -> list[Write]:
    """Writes about jobs from CREATE to success, without the kubelet's: the pods run, and end well at once."""
    since = stage.plane.audit.here()
    kubelet = Kubelet(stage.kubelet_api, namespace)
    with AutomaticKubelet(stage.kubelet_api, namespace):
        stage.submit([side.job(namespace, f"job-{next(_numbers)}") for _ in range(count)])
        stage.until(since, lambda writes: _running(writes, namespace) >= count * shapes.NODES)
        stage.quiet(stage.plane.audit.here())
        for pod in kubelet.pods():
            kubelet.succeed(pod)
        eventually(lambda: _succeeded(stage, side, namespace) == count, 60)
        stage.quiet(stage.plane.audit.here())
    writes = _of(stage.plane.audit.writes(since), namespace)
    remove_jobs(stage, side, namespace)
    return [write for write in writes if write.user != "kubelet"]


def running(stage: Stage, side: shapes.Side, namespace: str, count: int, seconds: float) -> list[Write]:
    """Writes about jobs that train for so many seconds, with progress that changes all the time, whoever makes them."""
    started = time.time()

    def progress() -> Progress:
        step = int((time.time() - started) * 10)
        return Progress(phase="training", step=step, total_steps=10**6, loss=2.0 + step % 100 / 100, tokens_per_second=1e4 + step)

    with AutomaticKubelet(stage.kubelet_api, namespace), ExitStack() as servers:
        since = stage.plane.audit.here()
        stage.submit([side.job(namespace, f"job-{next(_numbers)}") for _ in range(count)])
        stage.until(since, lambda writes: _running(writes, namespace) >= count * shapes.NODES)
        for pod in stage.api.list("Pod", namespace):
            if index(pod) == 0:
                servers.enter_context(serve_progress(pod["status"]["podIP"], progress))
        jobs = eventually(lambda: _with_progress(stage, namespace, count), 120, every=1.0)
        since = stage.plane.audit.here()
        time.sleep(seconds)
        writes = _of(stage.plane.audit.writes(since), namespace)
        if all(_step(job) == _step(old) for job, old in zip(stage.api.list(side.kind, namespace), jobs, strict=True)):
            raise RuntimeError("no job's progress has moved: there was nothing to count")
    return writes


def gang_restart(stage: Stage, side: shapes.Side, namespace: str) -> float:
    """Seconds from the API server's answer to the status of a failed pod until the next attempt's pods are made.

    Its peer ends at once when it is told to, so this is the control plane's and the operator's part alone.
    """
    kubelet = Kubelet(stage.kubelet_api, namespace)
    with AutomaticKubelet(stage.kubelet_api, namespace, exit_code=int(ExitCode.RETRYABLE)):
        since = stage.plane.audit.here()
        stage.submit([side.job(namespace, f"job-{next(_numbers)}")])
        stage.until(since, lambda writes: _running(writes, namespace) >= shapes.NODES)
        stage.quiet(stage.plane.audit.here())
        since = stage.plane.audit.here()
        kubelet.fail(kubelet.wait_for_pods(shapes.NODES)[0], int(ExitCode.RETRYABLE))
        writes = stage.until(since, lambda writes: len(_pods_made(writes, namespace)) >= shapes.NODES)
        failed = min(write.answered for write in writes if write.user == "kubelet" and write.resource == "pods/status")
        stage.quiet(stage.plane.audit.here())
        remove_jobs(stage, side, namespace)
    return max(pod.answered for pod in _pods_made(writes, namespace)) - failed


def _of(writes: list[Write], namespace: str) -> list[Write]:
    return [write for write in writes if write.namespace == namespace]


def _pods_made(writes: list[Write], namespace: str) -> list[Write]:
    return [w for w in _of(writes, namespace) if (w.verb, w.resource, w.status) == ("create", "pods", 201)]


def _running(writes: list[Write], namespace: str) -> int:
    return len([w for w in _of(writes, namespace) if (w.user, w.resource, w.status) == ("kubelet", "pods/status", 200)])


def _succeeded(stage: Stage, side: shapes.Side, namespace: str) -> int:
    conditions = [job.get("status", {}).get("conditions", []) for job in stage.api.list(side.kind, namespace)]
    return sum(any((c["type"], c["status"]) == (side.succeeded, "True") for c in each) for each in conditions)


def _with_progress(stage: Stage, namespace: str, count: int) -> list[shapes.Manifest]:
    jobs = stage.api.list("FineTuneJob", namespace)
    return jobs if len([job for job in jobs if _step(job) is not None]) == count else []


def _step(job: shapes.Manifest) -> int | None:
    step: int | None = job.get("status", {}).get("progress", {}).get("step")
    return step
