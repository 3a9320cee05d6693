"""Ranks that accelerate and DeepSpeed start: the launcher around them keeps every promise that it keeps with its own agent."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import psutil
import pytest
from nodes import Nodes, gone, wait_for

from finetune_api.contract import ExitCode


@pytest.fixture(params=["accelerate", "deepspeed"])
def gang(nodes: Callable[..., Nodes], request: pytest.FixtureRequest) -> Nodes:
    return nodes(distributed={"launcher": request.param})


def processes(group: Nodes) -> list[psutil.Process]:
    """Everything that the first launcher has started."""
    return psutil.Process(group.started[0].process.pid).children(recursive=True)


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # It has ended meanwhile.
        return []


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment(group: Nodes, rank: int) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (group.output / f"env-{rank}").read_text().splitlines())


def test_two_nodes_finish(gang: Nodes) -> None:
    as_in_a_pod = {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "1", "PET_MASTER_PORT": str(gang.master_port)}
    started = [
        gang.start("succeed", rank, 2, 1, RANK=str(rank), PET_NODE_RANK=str(rank), CUDA_VISIBLE_DEVICES="7", **as_in_a_pod)
        for rank in (1, 0)
    ]
    assert [node.ended() for node in started] == [ExitCode.OK, ExitCode.OK]
    assert "hello from 0" in started[1].log and "[rank 1] hello from 1" in started[0].log
    said = started[1].termination
    assert (said["reason"], said["progress"]["phase"], said["progress"]["step"]) == ("Completed", "done", 1)
    seen = environment(gang, 1)
    assert (seen["RANK"], seen["LOCAL_RANK"], seen["WORLD_SIZE"], seen["LOCAL_WORLD_SIZE"]) == ("1", "0", "2", "1")
    assert seen["OF_THE_JOB"] == "yes" and seen["CUDA_VISIBLE_DEVICES"] == "7"


def test_a_killed_rank_is_told_from_those_that_were_ended_after_it(gang: Nodes) -> None:
    """Both launchers send the others SIGTERM, then wait for half a minute."""
    node = gang.start("hang")
    pids = gang.rank_pids(2)
    os.kill(pids[1], signal.SIGKILL)
    assert node.ended(15) == ExitCode.RETRYABLE
    assert node.termination["reason"] == "OutOfMemory" and node.termination["rank"] == 1
    assert "ended by signal 9" in node.termination["message"] and all(map(gone, pids))


def test_sigterm_saves_the_same_step(gang: Nodes) -> None:
    node = gang.start("run_until_stopped")
    gang.rank_pids(2)
    node.process.send_signal(signal.SIGTERM)
    assert node.ended(15) == ExitCode.PREEMPTED
    saved = [(gang.output / f"saved-{rank}").read_text() for rank in (0, 1)]
    assert saved[0] == saved[1] and f"at step {saved[0]}, which is saved" in node.log
    assert "Traceback" not in node.log and "return code" not in node.log, "the other launcher sees nothing wrong either"


def test_the_users_error_is_not_retried(gang: Nodes) -> None:
    node = gang.start("rank_1_bad_loss")
    assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "NonFiniteLoss" and node.termination["rank"] == 1


def test_nothing_outlives_a_killed_launcher(gang: Nodes) -> None:
    """Not even a rank that is stopped, or stuck in native code."""
    node = gang.start("run_until_stopped")
    os.kill(gang.rank_pids(2)[1], signal.SIGSTOP)
    left = processes(gang)
    assert len(left) >= 5, "launcher, two keepers, two ranks"
    node.process.kill()
    wait_for(lambda: all(gone(process.pid) for process in left), 10)


def test_accelerate_does_not_wait_for_a_node_when_its_launcher_is_killed(nodes: Callable[..., Nodes]) -> None:
    group = nodes(distributed={"launcher": "accelerate"})
    node = group.start("succeed", nnodes=2, nproc=1)
    wait_for(lambda: listens(group.master_port))
    left = processes(group)
    assert left
    node.process.kill()
    wait_for(lambda: all(gone(process.pid) for process in left), 3)


def test_a_stop_before_the_ranks_are_there(nodes: Callable[..., Nodes]) -> None:
    group = nodes(distributed={"launcher": "deepspeed"})
    node = group.start("succeed")
    wait_for(lambda: any("deepspeed.launcher.launch" in command_line(process) for process in processes(group)))
    left = processes(group)
    node.process.send_signal(signal.SIGTERM)
    assert node.ended(5) == ExitCode.PREEMPTED
    wait_for(lambda: all(gone(process.pid) for process in left), 1)


def test_a_rank_that_is_killed_before_it_is_ready_is_named(nodes: Callable[..., Nodes]) -> None:
    group = nodes(distributed={"launcher": "accelerate"})
    node = group.start("succeed")
    (pid_file,) = wait_for(lambda: list((group.folder / "tmp-0").glob("finetune-*/pid-1")))
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert node.ended() == ExitCode.RETRYABLE
    assert "Rank 1 failed while starting: ended by signal 9" in node.termination["message"]


def test_a_missing_node_is_waited_for_though_deepspeed_does_not(nodes: Callable[..., Nodes]) -> None:
    group = nodes(distributed={"launcher": "deepspeed"})
    node = group.start("succeed", nnodes=2, nproc=1)
    wait_for(lambda: list((group.folder / "tmp-0").glob("finetune-*/ready-0")))
    left = processes(group)
    node.process.send_signal(signal.SIGTERM)
    assert node.ended(5) == ExitCode.PREEMPTED
    assert "waiting for the other nodes (not started: node 1)" in node.log and "ranks started" not in node.log
    wait_for(lambda: all(gone(process.pid) for process in left), 3)
