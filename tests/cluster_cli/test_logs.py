"""`logs`: the right lines of the right pods, and when following none of them lost or twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.api import Api
from cluster.kubelet import Kubelet
from cluster.log_server import PodLogs, serve_logs
from cluster_cli.finetune import Finetune
from cluster_cli.test_errors import line
from finetune_api.contract import ExitCode
from shell.jobs import Submit, Submitted, message


@pytest.fixture
def logs(api: Api, tmp_path: Path) -> Iterator[PodLogs]:
    """What the pods of the test have printed."""
    with serve_logs(api, tmp_path) as served:
        yield served


@pytest.fixture
def running(submit: Submit, kubelet: Kubelet, logs: PodLogs) -> tuple[Submitted, list[dict[str, Any]]]:
    """A job of two nodes with two processes each, and its pods."""
    job = submit(distributed={"nodes": 2, "processesPerNode": 2})
    pods = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    job.wait("Running")
    for number, pod in enumerate(pods):
        first = "loading the model" if number == 0 else f"[rank {2 * number}] loading"
        logs.write(name(pod), f"launcher of node {number}", first, f"[rank {2 * number + 1}] loading")
    return job, pods


def name(pod: dict[str, Any]) -> str:
    return pod["metadata"]["name"]


def restart(job: Submitted, pods: list[dict[str, Any]], kubelet: Kubelet) -> list[dict[str, Any]]:
    """Node 1 crashes; the pods of the next attempt run."""
    kubelet.fail(pods[1], 75, message(ExitCode.RETRYABLE, "Crashed", "It crashed.", node_rank=1))
    kubelet.wait_for_stopping(1)
    kubelet.finish(pods[0], ExitCode.PREEMPTED)
    following = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2, "a-1")]
    job.wait("Running", attempt=1)
    return following


def test_all_nodes_each_with_its_number(finetune: Finetune, running: Any):
    assert finetune.says("logs", "a").splitlines() == [
        "node 0 | launcher of node 0",
        "node 0 | loading the model",
        "node 0 | [rank 1] loading",
        "node 1 | launcher of node 1",
        "node 1 | [rank 2] loading",
        "node 1 | [rank 3] loading",
    ]


def test_one_node_one_rank_or_the_end(finetune: Finetune, running: Any):
    assert finetune.says("logs", "a", "--node", 1).splitlines()[0] == "launcher of node 1"
    assert finetune.says("logs", "a", "--rank", 3) == "[rank 3] loading\n"
    assert finetune.says("logs", "a", "--rank", 0).splitlines() == ["launcher of node 0", "loading the model"]
    assert finetune.says("logs", "a", "--tail", 1).splitlines() == ["node 0 | [rank 1] loading", "node 1 | [rank 3] loading"]


def test_an_earlier_attempt(finetune: Finetune, running: Any, kubelet: Kubelet, logs: PodLogs):
    job, pods = running
    following = restart(job, pods, kubelet)
    for pod in following:
        logs.write(name(pod), "second try")
    assert finetune.says("logs", "a") == "node 0 | second try\nnode 1 | second try\n"
    assert finetune.says("logs", "a", "--attempt", 0, "--node", 1).splitlines()[0] == "launcher of node 1"
    assert line(finetune.env, "logs", "a", "--attempt", "7").startswith(
        "There is no log of attempt 7 of a. There are logs of attempt 0, 1;"
    )
    assert "Attempt 0 has no log of node 0: there are nodes 1." in line(finetune.env, "logs", "a", "--attempt", "0", "--node", "0")
    assert "Rank 3 is on node 1, not on node 0" in line(finetune.env, "logs", "a", "--rank", "3", "--node", "0")


def test_a_pod_that_has_not_started(finetune: Finetune, submit: Submit, kubelet: Kubelet, logs: PodLogs):
    submit()
    first, second = kubelet.wait_for_pods(2)
    logs.write(name(kubelet.run(first)), "here")
    kubelet.image_pull_backoff(second)
    here, waits = finetune.says("logs", "a").splitlines()
    assert here == "node 0 | here"
    assert waits.startswith("node 1 | (has not started yet. The image example/trainer:1 cannot be pulled.")


def test_a_job_without_pods(finetune: Finetune, submit: Submit):
    submit(run_policy={"suspend": True}).wait("Suspended")
    assert line(finetune.env, "logs", "a").startswith("a has no pods, so there is no log. Suspended.")


def test_following_loses_nothing_and_repeats_nothing(finetune: Finetune, running: Any, kubelet: Kubelet, logs: PodLogs):
    """A connection that breaks, a pod that ends, the next attempt, the end of the job."""
    job, pods = running
    program = finetune.start("logs", "a", "--follow")
    program.read_until(r"\[rank 3\]")
    logs.write(name(pods[0]), "step 1")
    program.read_until("node 0 | step 1")
    logs.cut(name(pods[0]))
    logs.write(name(pods[0]), "step 2")
    program.read_until("node 0 | step 2")
    logs.write(name(pods[1]), "crash")
    for pod in pods:
        logs.end(name(pod))
    following = restart(job, pods, kubelet)
    program.read_until("^--- attempt 1 ---$")
    for pod in following:
        logs.write(name(pod), "goes on")
        kubelet.succeed(pod, message(ExitCode.OK, "Completed"))
        logs.end(name(pod))
    assert program.end() == 0, program.output
    lines = program.output.splitlines()
    assert sorted(lines) == sorted(set(lines)) and len(lines) == 6 + 2 + 1 + 1 + 2
    assert logs.asked.count(name(pods[0])) == 2


def test_ctrl_c_leaves(finetune: Finetune, running: Any):
    program = finetune.start("logs", "a", "-f", "--node", 0)
    program.read_until("loading")
    program.signal(signal.SIGINT)
    assert program.end() == 130 and "Traceback" not in program.output


def test_a_reader_that_has_enough(finetune: Finetune, running: Any, logs: PodLogs):
    """As in `finetune logs a -f | head -1`: it ends without a word."""
    program = finetune.start("logs", "a", "-f", "--node", 0)
    program.read_until("loading")
    program.stop_reading()
    logs.write(name(running[1][0]), *["more"] * 100)
    assert program.end() != 0
    assert program.output.splitlines() == ["launcher of node 0", "loading the model"]
