"""What takes ten seconds by its nature: all of it is started at once, and then looked at."""

import signal
import time

import pytest
from nodes import Node, Nodes, gone, wait_for

from finetune_api.contract import ExitCode


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    made: dict[str, list[Node]] = {}

    def start(name: str, entry: str, *, ranks=(0,), policy=None, distributed=None, nnodes=1, nproc=1, **env: str) -> None:
        group = Nodes(tmp_path_factory.mktemp(name), policy or {}, distributed or {})
        made[name] = [group.start(entry, rank, nnodes=nnodes, nproc=nproc, **env) for rank in ranks]
        groups.append(group)

    groups: list[Nodes] = []
    two, patience, stall = {"nnodes": 2}, {"rendezvousTimeoutSeconds": 5}, {"stallTimeoutSeconds": 10}
    start("rank-hangs", "rank_1_hangs", policy=stall, nproc=2)
    start("prepare-hangs", "succeed", policy=stall, FAKE_PREPARE="hang")
    start("lingers", "linger", nproc=2)
    start("node-1-missing", "succeed", distributed=patience, **two)
    start("node-0-missing", "succeed", distributed=patience, ranks=(1,), **two)
    start("no-name", "succeed", distributed=patience, MASTER_ADDR="nobody.invalid", **two)
    start("node-0-slow", "succeed", distributed=patience, ranks=(0, 1), FAKE_PREPARE="hang", **two)
    yield made
    for group in groups:
        group.close()


def test_a_hang_is_noticed_and_its_stacks_are_in_the_log(started):
    (node,) = started["rank-hangs"]
    assert node.ended() == ExitCode.STALLED
    assert "in rank_1_hangs" in node.log and "all_reduce" in node.log
    assert "rank 0 | " in node.log and "rank 1 | " in node.log
    assert node.termination["reason"] == "Stalled" and all(gone(pid) for pid in node.pids(2))


def test_a_prepare_that_hangs_is_ended_with_its_stacks(started):
    (node,) = started["prepare-hangs"]
    assert node.ended() == ExitCode.STALLED
    assert "fake_prepare.py" in node.log and node.termination["message"].startswith("Prepare gave no sign of life")


def test_a_rank_that_has_finished_but_cannot_leave_costs_nothing(started):
    (node,) = started["lingers"]
    assert node.ended() == ExitCode.OK
    assert "finished, but not leaving: killing rank 0, rank 1" in node.log
    wait_for(lambda: all(gone(pid) for pid in node.pids(2)), 3)


def test_a_missing_node_is_named_when_the_rendezvous_times_out(started):
    (node,) = started["node-1-missing"]
    assert node.ended() == ExitCode.RETRYABLE
    assert node.termination["reason"] == "RendezvousTimeout" and "not started: node 1" in node.termination["message"]


def test_without_node_0_the_others_give_up(started):
    (node,) = started["node-0-missing"]
    assert node.ended() == ExitCode.RETRYABLE
    assert node.termination["message"].startswith("Node 0 has not begun to prepare")


def test_a_name_that_nobody_knows_is_named(started):
    (node,) = started["no-name"]
    assert node.ended() == ExitCode.RETRYABLE
    assert node.termination["reason"] == "RendezvousTimeout"
    assert "Node 0 did not answer at nobody.invalid within 5 s (its name is not known yet)" in node.termination["message"]


def test_the_others_wait_as_long_as_node_0_shows_life(started):
    node_0, node_1 = started["node-0-slow"]
    wait_for(lambda: "it is at work" in node_1.log)
    time.sleep(6)
    assert node_1.process.poll() is None
    node_0.process.send_signal(signal.SIGTERM)
    assert [node.ended() for node in (node_0, node_1)] == [ExitCode.PREEMPTED, ExitCode.PREEMPTED]
