"""The attempts of a local run, driven with a stand-in launcher that keeps the contract."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.jobs import a_job, write_job
from finetune_api.load import load_job
from finetune_api.spec import Distributed
from finetune_cli.local import events
from finetune_cli.local.environment import Layout, choose_layout
from finetune_cli.local.gpus import among_visible
from finetune_cli.local.mounts import mount_problems, parse_mounts
from finetune_cli.local.outcome import Outcome
from finetune_cli.local.resolve import resolve
from finetune_cli.local.runner import LocalRun, next_generation, run_attempts
from finetune_cli.local.stop import StopRequests
from finetune_trainer import fence
from finetune_trainer.errors import UserError
from finetune_trainer.fence import Generation, Token
from finetune_trainer.results.earlier_run import inspect
from finetune_trainer.results.resolved_job import write_resolved_job

STAND_IN = Path(__file__).with_name("stand_in_launcher.py")
DRIVER = """
import json, sys
from pathlib import Path
from finetune_cli.local.command import Options, run_job
options = json.loads(sys.argv[1])
options = Options(job_file=Path(options.pop("job_file")), output=Path(options.pop("output")), **options)
sys.exit(run_job(options, json.loads(sys.argv[2])))
"""
Script = dict[str, dict[str, dict[str, Any]]]


class Bench:
    """A folder with a job, an output folder and a script for the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder / "out"
        self.events: list[events.Event] = []
        self.stop = StopRequests()

    def command(self, script: Script) -> list[str]:
        path = self.folder / "script.json"
        path.write_text(json.dumps(script))
        return [sys.executable, str(STAND_IN), str(path)]

    def run(self, script: Script, nodes: int = 2, react: Callable[[events.Event], None] = lambda _: None, **policy: Any) -> Outcome:
        self.output.mkdir(exist_ok=True)
        job = a_job(self.folder, runPolicy=policy, trainer={"env": [{"name": "MARK", "value": "seen"}]})
        layout = Layout(nodes, 1)

        def show(event: events.Event) -> None:
            self.events.append(event)
            react(event)

        lock = os.open(self.folder, os.O_RDONLY)
        try:
            run = LocalRun(resolve(job, self.folder, 1), self.output, layout, {"data": "/d"}, lock, self.command(script))
            return run_attempts(run, show, self.stop)
        finally:
            os.close(lock)

    def cli(self, script: Script, *, stderr: Any = None, job: Path | None = None, **options: Any) -> subprocess.Popen[str]:
        """`finetune run --json` as a process of its own, in a terminal's place."""
        given = {"job_file": str(job or write_job(self.folder, distributed={"nodes": 2})), "output": str(self.output), "json": True}
        argv = [sys.executable, "-c", DRIVER, json.dumps(given | options), json.dumps(self.command(script))]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, text=True)

    def seen(self) -> list[dict[str, Any]]:
        path = self.output / "seen.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(self, count: int, key: str) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = [line for line in self.seen() if key in line]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{count} x {key} not seen in {self.seen()}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def last_json(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=30)
    summary: dict[str, Any] = json.loads(out.splitlines()[-1])
    return summary


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_success_gives_every_node_the_contract(bench: Bench) -> None:
    outcome = bench.run({"*": {"*": {"exit": 0}}})
    assert (outcome.state, outcome.attempts, outcome.restarts) == ("done", 1, 0)
    envs = {line["node"]: line["env"] for line in bench.seen() if "env" in line}
    assert sorted(envs) == [0, 1]
    for node, env in envs.items():
        assert env["RANK"] == env["PET_NODE_RANK"] == str(node)
        assert env["NNODES"] == env["PET_NNODES"] == "2"
        assert (env["FINETUNE_ATTEMPT"], env["FINETUNE_HTTP_PORT"], env["MARK"]) == ("0", "0", "seen")
        assert env["FINETUNE_PARENT_PID"] == str(os.getpid())
        assert json.loads(env["FINETUNE_MOUNTS"]) == {"data": "/d"}
    assert envs[0]["FINETUNE_POD_UID"] != envs[1]["FINETUNE_POD_UID"]
    assert (bench.output / "logs/attempt-0/node-1.log").read_text() == "node 1 of attempt 0 works\n"


def test_user_error_is_not_retried_and_is_told(bench: Bench) -> None:
    bad = {"exit": 64, "reason": "BadDataRow", "message": "pairs.jsonl, line 3: no output."}
    peer = {"exit": 75, "reason": "PeerLost", "message": "Node 0 is gone.", "seconds": 0.3}
    outcome = bench.run({"*": {"0": bad, "1": peer}})
    assert (outcome.state, outcome.attempts, outcome.reason) == ("failed", 1, "BadDataRow")
    assert outcome.message == "pairs.jsonl, line 3: no output."


def test_a_crash_is_retried_and_no_process_of_it_is_left(bench: Bench) -> None:
    outcome = bench.run({"0": {"0": {"exit": 75}, "1": {"exit": 75, "seconds": 0.4}}, "*": {"*": {"exit": 0}}})
    assert (outcome.state, outcome.attempts, outcome.restarts) == ("done", 2, 1)
    left = max(line["left"] for line in bench.seen() if "left" in line and line["attempt"] == 0)
    assert left < min(line["started"] for line in bench.seen() if "started" in line and line["attempt"] == 1)


def test_an_orphan_is_killed_before_the_next_attempt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_cli.local.nodes._ORPHAN_SECONDS", 0.5)
    pid: list[int] = []

    def react(event: events.Event) -> None:
        if isinstance(event, events.AttemptEnded) and event.attempt == 0:
            pid.extend(line["orphan"] for line in bench.seen() if "orphan" in line)
            assert not alive(pid[0])

    bench.run({"0": {"*": {"exit": 75, "orphan": True}}, "*": {"*": {"exit": 0}}}, nodes=1, react=react)
    assert pid


def test_given_up_after_max_restarts(bench: Bench) -> None:
    outcome = bench.run(
        {"*": {"*": {"exit": 75, "reason": "OutOfMemory", "message": "Rank 0 was killed."}}}, nodes=1, maxRestarts=1
    )
    assert (outcome.state, outcome.attempts, outcome.reason) == ("failed", 2, "OutOfMemory")
    assert outcome.message == "Rank 0 was killed.\nGiven up after 1 restarts (runPolicy.maxRestarts)."


def test_a_preempted_attempt_continues_without_being_charged(bench: Bench) -> None:
    outcome = bench.run({"0": {"*": {"exit": 77}}, "*": {"*": {"exit": 0}}}, maxRestarts=0)
    assert (outcome.state, outcome.attempts, outcome.restarts) == ("done", 2, 0)


def test_the_peers_of_a_failed_node_are_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_cli.local.attempt._PEER_SECONDS", 0.3)
    monkeypatch.setattr("finetune_cli.local.attempt._LAST_WORDS_SECONDS", 0.2)
    script: Script = {"*": {"0": {"exit": 75}, "1": {"seconds": 60}, "2": {"seconds": 60, "deaf": True}}}
    outcome = bench.run(script, nodes=3, maxRestarts=0, gracefulStopSeconds=1)
    assert outcome.state == "failed"
    assert outcome.seconds < 10
    assert sorted(line["node"] for line in bench.seen() if "left" in line) == [0, 1]  # Node 2 had to be killed.


def test_a_silent_death_is_told_with_its_signal_and_log(bench: Bench) -> None:
    def react(event: events.Event) -> None:
        if isinstance(event, events.Logged):
            os.kill(next(line["pid"] for line in bench.seen()), signal.SIGKILL)

    outcome = bench.run({"*": {"*": {"seconds": 60}}}, nodes=1, maxRestarts=0, react=react)
    assert outcome.message.startswith("The launcher of node 0 was killed by signal 9")
    assert "logs/attempt-0/node-0.log" in outcome.message


def test_the_deadline_saves_and_fails(bench: Bench) -> None:
    outcome = bench.run({"*": {"*": {"seconds": 60, "checkpoint": 7}}}, nodes=1, activeDeadlineSeconds=2, gracefulStopSeconds=1)
    assert (outcome.state, outcome.reason, outcome.saved_step) == ("failed", "DeadlineExceeded", 7)


def test_the_deadline_also_ends_the_pause_between_attempts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_cli.local.runner.retry_delay", lambda _: 30.0)
    outcome = bench.run({"*": {"*": {"exit": 75}}}, nodes=1, activeDeadlineSeconds=2, gracefulStopSeconds=1)
    assert (outcome.reason, outcome.attempts) == ("DeadlineExceeded", 1)


def test_progress_and_output_are_shown(bench: Bench) -> None:
    progress = {"phase": "training", "step": 3, "totalSteps": 9, "loss": 2.5}
    bench.run({"*": {"*": {"seconds": 1.5, "progress": progress}}}, nodes=1)
    shown = [event.progress for event in bench.events if isinstance(event, events.Progressed)]
    assert [(item.step, item.loss) for item in shown] == [(3, 2.5)]
    assert events.Logged(0, ("node 0 of attempt 0 works",)) in bench.events


def test_a_busy_port_is_replaced_and_told(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        job = a_job(bench.folder, distributed={"masterPort": taken.getsockname()[1]})
        bench.output.mkdir()
        lock = os.open(bench.folder, os.O_RDONLY)
        run = LocalRun(job, bench.output, Layout(1, 1), {}, lock, bench.command({"*": {"*": {}}}))
        run_attempts(run, bench.events.append, bench.stop)
        os.close(lock)
        told = [event.text for event in bench.events if isinstance(event, events.Noted)]
        assert str(taken.getsockname()[1]) in told[0]
        assert bench.seen()[0]["env"]["PET_MASTER_PORT"] != str(taken.getsockname()[1])


def test_ctrl_c_saves_and_running_again_continues(bench: Bench) -> None:
    process = bench.cli({"0": {"*": {"seconds": 60, "checkpoint": 5}}, "*": {"*": {"exit": 0}}})
    bench.wait_for(2, "started")
    process.send_signal(signal.SIGINT)
    stopped = last_json(process)
    assert (process.returncode, stopped["state"], stopped["savedStep"]) == (130, "stopped", 5)
    process = bench.cli({"*": {"*": {"exit": 0}}})
    assert last_json(process)["state"] == "done"
    assert [line["attempt"] for line in bench.seen() if "started" in line] == [0, 0, 1, 1]
    process = bench.cli({"*": {"*": {"exit": 64}}})
    assert (last_json(process)["state"], process.returncode) == ("complete", 0)


def test_a_second_ctrl_c_kills_everything(bench: Bench) -> None:
    job = write_job(bench.folder, distributed={"nodes": 2}, runPolicy={"maxRestarts": 0})
    process = bench.cli({"*": {"*": {"seconds": 60, "deaf": True}}}, job=job)
    pids = [line["pid"] for line in bench.wait_for(2, "started")]
    process.send_signal(signal.SIGINT)
    time.sleep(0.6)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert last_json(process)["exitCode"] == process.returncode == 130
    assert not any(map(alive, pids))


def test_launchers_notice_that_the_command_was_killed_and_the_next_one_waits_for_them(bench: Bench) -> None:
    process = bench.cli({"*": {"*": {"seconds": 60, "lingers": 3}}})
    bench.wait_for(2, "started")
    process.kill()
    process.communicate()
    again = bench.cli({"*": {"*": {"exit": 0}}})
    assert last_json(again)["state"] == "done"
    left = [line["orphaned"] for line in bench.seen() if "orphaned" in line]
    assert len(left) == 2
    assert max(left) < min(line["started"] for line in bench.seen() if "started" in line and line["attempt"] == 1)


def test_two_runs_never_share_a_folder(bench: Bench) -> None:
    first = bench.cli({"*": {"*": {"seconds": 60}}})
    bench.wait_for(2, "started")
    second = bench.cli({"*": {"*": {}}})
    refused = last_json(second)
    assert (second.returncode, refused["reason"]) == (2, "OutputInUse")
    assert f"process {first.pid}" in refused["message"]
    first.send_signal(signal.SIGTERM)
    assert last_json(first)["state"] == "stopped"


def test_fresh_needs_consent_and_keeps_other_peoples_files(bench: Bench) -> None:
    assert last_json(bench.cli({"*": {"*": {}}}))["state"] == "done"
    (bench.output / "notes.md").write_text("mine")
    asked = bench.cli({"*": {"*": {}}}, fresh=True, stderr=subprocess.PIPE)
    _, listing = asked.communicate(timeout=30)
    assert asked.returncode == 2
    assert "finetunejob.yaml" in listing and "notes.md" not in listing
    assert inspect(bench.output).completed
    again = bench.cli({"*": {"*": {}}}, fresh=True, yes=True, stderr=subprocess.DEVNULL)
    assert last_json(again)["state"] == "done"
    assert (bench.output / "notes.md").read_text() == "mine"
    assert [path.name for path in (bench.output / "logs").iterdir()] == ["attempt-0"]


def test_what_only_a_cluster_can_do_is_refused_before_anything_starts(bench: Bench) -> None:
    secret = {"secretKeyRef": {"name": "hf"}}
    env = [{"name": "A", "value": "b"}, {"name": "HUB", "valueFrom": secret}, {"name": "HOME", "valueFrom": secret}]
    trainer = {"image": "a/b", "command": ["torchrun", "train.py"], "env": env}
    job = write_job(bench.folder, runPolicy={"suspend": True}, trainer=trainer)
    refused = last_json(bench.cli({"*": {"*": {}}}, job=job))
    assert (refused["exitCode"], refused["reason"]) == (2, "ClusterOnly")
    assert refused["message"].splitlines() == [
        "Some of this job needs a cluster:",
        "  spec.runPolicy.suspend: a suspended job does not start. Here: --set spec.runPolicy.suspend=false",
        "  spec.trainer.command: another trainer, in a container. Here: start it yourself",
        "  spec.trainer.image: a container image. Here: --set spec.trainer.image= for what is installed",
        "  spec.trainer.env[1].valueFrom: the Secret hf. Here: export HUB in this shell",
        "On a cluster: kubectl apply -f FILE.",
    ]
    assert not bench.output.exists()


def test_what_is_only_about_pods_does_no_harm(bench: Bench) -> None:
    """And a variable that a cluster takes from a Secret comes from the shell."""
    pods = {
        "model": {"source": "file://model", "tokenSecretRef": {"name": "hf"}},
        "resources": {"limits": {"nvidia.com/gpu": 8, "memory": "900Gi"}},
        "podTemplate": {"spec": {"nodeSelector": {"gpu": "a100"}}},
        "output": {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}, "path": "there"},
        "runPolicy": {"ttlSecondsAfterFinished": 1},
        "trainer": {"env": [{"name": "PATH", "valueFrom": {"secretKeyRef": {"name": "path"}}}, {"name": "MARK", "value": "seen"}]},
    }
    assert last_json(bench.cli({"*": {"*": {}}}, job=write_job(bench.folder, **pods)))["state"] == "done"
    (env,) = [line["env"] for line in bench.seen() if "env" in line]
    assert (env["MARK"], env["PATH"]) == ("seen", os.environ["PATH"])


def test_every_problem_of_the_mounts_is_told_at_once(bench: Bench, tmp_path: Path) -> None:
    sources = [{"uri": "pvc://data/a.jsonl", "format": "alpaca"}, {"uri": "configmap://extra/b.jsonl", "format": "alpaca"}]
    job = a_job(tmp_path, model={"source": "pvc://models/tiny"}, dataset={"sources": sources})
    problems = mount_problems(job, parse_mounts(["model=/nowhere", f"configmap/extra={tmp_path}"]))
    assert problems == [
        "--mount model=/nowhere: there is no such folder.",
        "spec.model.source: say where this is on your machine: --mount models=DIR",
        "spec.dataset.sources[0].uri: say where this is on your machine: --mount data=DIR",
        "--mount model: nothing in the job uses it. Did you mean models?",
    ]
    with pytest.raises(UserError, match="CLAIM=DIR"):
        parse_mounts(["data"])


@pytest.mark.parametrize(
    ("nodes", "processes", "gpus", "expected"),
    [
        (1, None, "", [()]),
        (2, 4, "", [(), ()]),
        (1, None, "0123", [("0", "1", "2", "3")]),
        (2, None, "01234", [("0", "1"), ("2", "3")]),
        (2, 1, "0123", [("0",), ("1",)]),
    ],
)
def test_gpus_are_divided_among_the_nodes(nodes: int, processes: int | None, gpus: str, expected: list[tuple[str, ...]]) -> None:
    layout = choose_layout(Distributed(nodes=nodes, processes_per_node=processes), tuple(gpus))
    assert [layout.node_gpus(rank) for rank in range(nodes)] == expected


@pytest.mark.parametrize(("nodes", "processes"), [(1, 3), (3, None)])
def test_two_processes_never_share_a_gpu(nodes: int, processes: int | None) -> None:
    with pytest.raises(UserError, match="2 GPUs are visible"):
        choose_layout(Distributed(nodes=nodes, processes_per_node=processes), ("0", "1"))


@pytest.mark.parametrize(
    ("setting", "expected"), [("", ()), ("-1", ()), ("1, 3", ("1", "3")), ("0,-1,2", ("0",)), ("GPU-a,MIG-b", ("GPU-a", "MIG-b"))]
)
def test_cuda_visible_devices(setting: str, expected: tuple[str, ...]) -> None:
    assert among_visible(setting) == expected


def test_the_resolved_job_does_not_depend_on_its_folder(tmp_path: Path) -> None:
    job = resolve(a_job(tmp_path, model={"source": "file://../models/a"}), tmp_path / "jobs", 4)
    assert job.model.source == f"file://{tmp_path}/models/a"
    assert job.dataset.sources[0].uri == f"file://{tmp_path}/jobs/pairs.jsonl"
    assert job.spec.distributed.processes_per_node == 4
    assert resolve(job, Path("/elsewhere"), 4) == job


def test_a_folder_with_a_space_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "my jobs"
    folder.mkdir()
    job = resolve(a_job(folder), folder, 1)
    assert load_job(write_resolved_job(job, folder)) == job


def test_attempts_are_numbered_past_everything_that_ever_ran_here(tmp_path: Path) -> None:
    assert next_generation(tmp_path) == Generation(0, 0)
    (tmp_path / "logs/attempt-9").mkdir(parents=True)
    assert next_generation(tmp_path) == Generation(0, 10)
    fence.claim(tmp_path / ".finetune", 0, Token(0, 11, "here"))
    assert next_generation(tmp_path) == Generation(0, 12)


def test_a_run_in_a_clusters_folder_is_the_next_attempt_of_its_job(bench: Bench) -> None:
    fence.claim(bench.output / ".finetune", 1, Token(1_790_000_000, 2, "pod"))
    bench.run({"*": {"*": {"exit": 0}}}, nodes=1)
    (env,) = [line["env"] for line in bench.seen() if "env" in line]
    assert (env["FINETUNE_JOB_CREATED"], env["FINETUNE_ATTEMPT"]) == ("1790000000", "3")
