"""What happens before any rank: spec, output folder, ports, fence, prepare. No torch is waited for."""

import signal
import socket
import time

from nodes import wait_for

from finetune_api.contract import ExitCode
from finetune_trainer import fence
from finetune_trainer.fence import Token


def test_prepares_failure_is_the_launchers(nodes):
    node = nodes().start("succeed", FAKE_PREPARE="bad_row")
    assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "BadDataRow"
    assert node.termination["message"].startswith("Prepare failed while preparing: pairs.jsonl line 7")


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


def test_an_older_attempt_is_fenced_and_changes_nothing(nodes):
    group = nodes()
    fence.claim(group.output / ".finetune", 1, Token(0, 3, "newer"))
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
    assert node.termination["reason"] == "BadEnvironment" and "NNODES='two' is not a number" in node.termination["message"]


def test_a_prepare_that_leaves_nothing_is_no_success(nodes):
    node = nodes().start("succeed", FAKE_PREPARE="nothing")
    assert node.ended() == ExitCode.RETRYABLE
    assert node.termination["message"].startswith("Prepare failed")
