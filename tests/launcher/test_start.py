"""What happens before any rank: spec, output folder, ports, fence, prepare. No torch is waited for."""

import signal
import socket
import time

from finetune_api.contract import ExitCode
from finetune_trainer import fence
from nodes import wait_for


def test_prepares_failure_is_the_launchers(nodes):
    node = nodes().start("succeed", FAKE_PREPARE="bad_row")
    assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "BadDataRow"
    assert node.termination["message"].startswith("Prepare failed while preparing: UserError: pairs.jsonl line 7")


def test_prepare_that_hangs_is_ended_with_its_stacks(nodes):
    node = nodes(policy={"stallTimeoutSeconds": 10}).start("succeed", FAKE_PREPARE="hang")
    assert node.ended(30) == ExitCode.STALLED
    assert "fake_prepare.py" in node.log and node.termination["message"].startswith("Prepare gave no sign of life")


def test_a_stop_during_prepare(nodes):
    node = nodes().start("succeed", FAKE_PREPARE="hang")
    wait_for(lambda: list(node.output.parent.glob("tmp-0/finetune-*/prepare.json")))
    node.process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    assert node.ended(8) == ExitCode.PREEMPTED
    assert time.monotonic() - asked < 4


def test_the_other_node_leaves_when_prepare_fails(nodes):
    group = nodes()
    other = group.start("succeed", 1, nnodes=2, nproc=1)
    wait_for(lambda: "waiting for node 0" in other.log)
    node = group.start("succeed", 0, nnodes=2, nproc=1, FAKE_PREPARE="bad_row")
    assert node.ended() == ExitCode.USER_ERROR
    assert other.ended(10) == ExitCode.RETRYABLE
    assert "Node 0 has failed (BadDataRow)" in other.termination["message"]


def test_the_other_node_gives_up_when_there_is_no_node_0(nodes):
    node = nodes(distributed={"rendezvousTimeoutSeconds": 5}).start("succeed", 1, nnodes=2, nproc=1)
    assert node.ended(30) == ExitCode.RETRYABLE
    assert node.termination["message"].startswith("Node 0 has not begun to prepare")


def test_the_other_node_waits_while_node_0_shows_life(nodes):
    group = nodes(distributed={"rendezvousTimeoutSeconds": 5})
    started = [group.start("succeed", rank, nnodes=2, nproc=1, FAKE_PREPARE="hang") for rank in (0, 1)]
    wait_for(lambda: "it is at work" in started[1].log)
    time.sleep(7)
    assert started[1].process.poll() is None
    started[0].process.send_signal(signal.SIGTERM)
    assert [node.ended(10) for node in started] == [ExitCode.PREEMPTED, ExitCode.PREEMPTED]


def test_an_older_attempt_is_fenced_and_changes_nothing(nodes):
    group = nodes()
    fence.claim(group.output / ".finetune", 1, attempt=3, pod_uid="newer")
    before = sorted(group.output.rglob("*"))
    node = group.start("succeed", FINETUNE_ATTEMPT="2")
    assert node.ended() == ExitCode.FENCED
    assert sorted(group.output.rglob("*")) == before
    assert node.termination["reason"] == "Fenced" and "Attempt 3 owns the output folder" in node.termination["message"]


def test_a_bad_spec_is_the_users_error(nodes):
    node = nodes(policy={"maxRestart": 3}).start("succeed")
    assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "InvalidSpec" and "maxRestart" in node.termination["message"]


def test_a_taken_http_port_is_the_users_error(nodes):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node = nodes().start("succeed", FINETUNE_HTTP_PORT=str(taken.getsockname()[1]))
        assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "PortInUse" and "FINETUNE_HTTP_PORT" in node.termination["message"]


def test_an_output_folder_that_is_a_file_is_the_users_error(nodes):
    group = nodes()
    group.output.write_text("not a folder")
    node = group.start("succeed")
    assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "OutputNotWritable" and str(group.output) in node.termination["message"]


def test_a_bad_variable_is_named(nodes):
    node = nodes().start("succeed", NNODES="two")
    assert node.ended() == ExitCode.USER_ERROR
    assert "NNODES='two' is not a number" in node.log
