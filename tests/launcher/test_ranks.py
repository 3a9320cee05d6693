"""Real launchers, torch's elastic agent and a real forkserver; only the ranks' work is tiny."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from nodes import gone, wait_for

from finetune_api.contract import ExitCode
from finetune_api.load import load_job
from finetune_trainer.launcher.cgroup import available_cpus
from finetune_trainer.results.attempts import read_attempts


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def test_two_ranks_finish(nodes):
    group = nodes()
    node = group.start("succeed", OMP_NUM_THREADS="")
    assert node.ended() == ExitCode.OK
    assert "warning: not_installed cannot be imported ahead of the ranks" in node.log
    assert "hello from 0" in node.log and "[rank 1] hello from 1" in node.log
    environment = dict(line.split("=", 1) for line in (group.output / "env-1").read_text().splitlines())
    assert int(environment["OMP_NUM_THREADS"]) == max(1, available_cpus() // 2)
    assert environment["OF_THE_JOB"] == "yes" and environment["TOKENIZERS_PARALLELISM"] == "false"
    assert all(map(gone, group.rank_pids(2)))
    assert not list((group.folder / "tmp-0").glob("finetune-*")), "the scratch folder is removed"
    said = node.termination
    assert (said["exitCode"], said["reason"], said["progress"]["phase"], said["progress"]["step"]) == (0, "Completed", "done", 1)
    assert (said["progress"]["totalSteps"], said["progress"]["loss"]) == (100, 1.0)
    assert load_job(group.output / "finetunejob.yaml").metadata.name == "t"


def trains(output, attempt):
    return any(each.number == attempt and each.phases[-1][1] == "training" for each in read_attempts(output))


def test_attempts_are_recorded_and_a_report_that_cannot_be_written_fails_no_job(nodes):
    group = nodes()
    killed = group.start("run_until_stopped", FINETUNE_PARENT_PID="")
    wait_for(lambda: trains(group.output, 0))
    killed.process.kill()
    assert killed.ended() == -signal.SIGKILL
    wait_for(lambda: all(map(gone, group.rank_pids(2))))
    stopped = group.start("run_until_stopped", FINETUNE_ATTEMPT="1")
    wait_for(lambda: trains(group.output, 1))
    stopped.process.terminate()
    assert stopped.ended() == ExitCode.PREEMPTED and "report" not in stopped.log
    last = group.start("succeed", FINETUNE_ATTEMPT="2")
    assert last.ended() == ExitCode.OK
    assert "warning: no report.html (NothingLogged" in last.log, "these ranks keep no log"
    attempts = read_attempts(group.output)
    ends = [(each.number, each.end.reason, each.end.exit_code) for each in attempts if each.end]
    assert ends == [(0, "Killed", None), (1, "Stopped", 77), (2, "Completed", 0)]
    assert f"at step {attempts[1].end.step}," in attempts[1].end.message
    times = [moment for each in attempts for moment in (each.begun, *(at for at, _, _ in each.phases), each.last_seen)]
    assert times == sorted(times)


def test_two_nodes_finish(nodes):
    group = nodes()
    started = [group.start("succeed", rank, nnodes=2, nproc=1) for rank in (1, 0)]
    assert [node.ended() for node in started] == [ExitCode.OK, ExitCode.OK]
    assert "hello from 0" in started[1].log and "hello from 1" in started[0].log


def test_names_that_are_known_late_are_waited_for(nodes, late_name):
    """DNS knows a pod some seconds after it runs, for the pod itself as for others."""
    group = nodes()
    started = [
        group.start("succeed", rank, nnodes=2, nproc=1, within=late_name.within, MASTER_ADDR=late_name.host) for rank in (0, 1)
    ]
    for node in started:
        wait_for(
            lambda node=node: f"waiting for node 0 at {late_name.host}" in node.log and "its name is not known yet" in node.log
        )
    late_name.reveal()
    assert [node.ended() for node in started] == [ExitCode.OK, ExitCode.OK]
    assert not any("cannot be retrieved" in node.log for node in started), "torch has nothing to warn about"


def test_a_rank_that_raises_ends_the_attempt_with_a_paragraph(nodes):
    node = nodes().start("rank_1_raises")
    assert node.ended() == ExitCode.RETRYABLE
    told = node.termination
    assert told["rank"] == 1 and told["exitCode"] == 75 and told["reason"] == "RankFailed"
    assert "Rank 1 failed while training, at step 3: ValueError: the third step is too much." in told["message"]
    assert 'raise ValueError("the third step is too much")' in node.log, "the traceback is in the log"


def test_the_users_error_is_not_retried(nodes):
    node = nodes().start("rank_1_bad_loss")
    assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "NonFiniteLoss" and "Lower training.learningRate." in node.termination["message"]


def test_a_killed_rank_is_found_behind_the_echo_in_its_peer(nodes):
    group = nodes()
    node = group.start("run_until_stopped")
    os.kill(group.rank_pids(2)[1], signal.SIGKILL)
    killed = time.monotonic()
    assert node.ended() == ExitCode.RETRYABLE
    assert time.monotonic() - killed < 8
    assert node.termination["reason"] == "OutOfMemory" and node.termination["rank"] == 1
    assert "ended by signal 9" in node.termination["message"]


def test_ranks_that_hang_after_anothers_failure_do_not_hold_the_launcher(nodes):
    group = nodes()
    node = group.start("rank_1_raises_others_hang")
    pids = group.rank_pids(2)
    seen = time.monotonic()
    assert node.ended() == ExitCode.RETRYABLE
    assert time.monotonic() - seen < 10  # The agent alone would wait for 30 s.
    assert "Rank 1 failed" in node.termination["message"] and all(map(gone, pids))


def test_a_killed_rank_ends_the_other_node_within_seconds(nodes):
    group = nodes()
    started = [group.start("run_until_stopped", rank, nnodes=2, nproc=1) for rank in (0, 1)]
    os.kill(group.rank_pids(2)[0], signal.SIGKILL)
    killed = time.monotonic()
    assert [node.ended() for node in started] == [ExitCode.RETRYABLE, ExitCode.RETRYABLE]
    assert time.monotonic() - killed < 10
    assert started[1].termination["reason"] == "PeerLost"
    assert "Node 0 has failed (OutOfMemory)" in started[1].termination["message"]


def test_a_launcher_killed_with_its_pod_ends_the_other_node(nodes):
    group = nodes()
    started = [group.start("run_until_stopped", rank, nnodes=2, nproc=1) for rank in (0, 1)]
    pids = group.rank_pids(2)
    started[0].process.kill()
    wait_for(lambda: gone(pids[0]), 3)
    assert started[1].ended(20) == ExitCode.RETRYABLE
    assert started[1].termination["reason"] == "PeerLost" and gone(pids[1])


def test_sigterm_saves_on_all_nodes(nodes):
    group = nodes()
    started = [group.start("run_until_stopped", rank, nnodes=2, nproc=1) for rank in (0, 1)]
    group.rank_pids(2)
    started[1].process.send_signal(signal.SIGTERM)
    assert [node.ended() for node in started] == [ExitCode.PREEMPTED, ExitCode.PREEMPTED]
    saved = [(group.output / f"saved-{rank}").read_text() for rank in (0, 1)]
    assert saved[0] == saved[1] and f"at step {saved[0]}, which is saved" in started[1].log


def test_a_stop_that_takes_too_long_is_ended(nodes):
    group = nodes(policy={"gracefulStopSeconds": 2})
    node = group.start("ignore_stop")
    pids = group.rank_pids(2)
    node.process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    assert node.ended() == ExitCode.RETRYABLE
    assert time.monotonic() - asked >= 2
    assert node.termination["reason"] == "StopTimedOut" and all(map(gone, pids))


def test_the_second_signal_ends_at_once(nodes):
    group = nodes()
    node = group.start("ignore_stop")
    pids = group.rank_pids(2)
    node.process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    node.process.send_signal(signal.SIGINT)
    assert node.ended(5) == ExitCode.RETRYABLE
    assert node.termination["reason"] == "StoppedAtOnce" and all(map(gone, pids))


def test_a_stopped_rank_dies_with_its_launcher(nodes):
    group = nodes()
    node = group.start("run_until_stopped")
    pids = group.rank_pids(2)
    os.kill(pids[1], signal.SIGSTOP)
    node.process.kill()
    wait_for(lambda: all(map(gone, pids)), 3)


def test_the_launcher_dies_with_whoever_started_it(nodes):
    group = nodes()
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    node = group.start("run_until_stopped", FINETUNE_PARENT_PID=str(parent.pid))
    pids = group.rank_pids(2)
    parent.kill()
    parent.wait()
    assert node.ended(3) == ExitCode.RETRYABLE
    wait_for(lambda: all(map(gone, pids)), 3)


def test_a_stop_during_the_rendezvous(nodes):
    node = nodes().start("succeed", 0, nnodes=2, nproc=1)
    wait_for(lambda: "waiting for the other nodes" in node.log)
    node.process.send_signal(signal.SIGTERM)
    assert node.ended(5) == ExitCode.PREEMPTED


def test_a_taken_master_port_is_the_users_error(nodes):
    group = nodes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", group.master_port))
        taken.listen()
        node = group.start("succeed")
        assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "PortInUse" and "spec.distributed.masterPort" in node.termination["message"]


def test_an_entry_that_cannot_be_imported_is_explained(nodes):
    node = nodes().start("no_such_entry")
    assert node.ended() == ExitCode.RETRYABLE
    assert "no_such_entry" in node.termination["message"] and "AttributeError" in node.log


def test_progress_while_training_and_sigterm_to_one_rank(nodes):
    group = nodes()
    node = group.start("run_until_stopped")
    port = node.http_port
    progress = wait_for(lambda: (p := json.loads(get(port, "/progress"))).get("step") and p)
    assert progress["phase"] == "training" and progress["totalSteps"] == 100 and abs(progress["updatedAt"] - time.time()) < 5
    assert "finetune_training_step " in get(port, "/metrics") and get(port, "/healthz") == "ok\n"
    os.kill(group.rank_pids(2)[1], signal.SIGTERM)
    assert node.ended() == ExitCode.PREEMPTED
