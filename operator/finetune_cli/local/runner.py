"""The attempts of a local run: start all nodes, wait until all have left, decide with the operator's restart policy, again."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune_api.contract import RESOLVED_JOB_FILE, STATE_DIR, TerminationMessage
from finetune_api.restart import Decision, decide, retry_delay
from finetune_api.spec import FineTuneJob
from finetune_cli.local import events
from finetune_cli.local.attempt import log_name, read_last_words, supervise, verdict
from finetune_cli.local.environment import Layout, NodeStart, node_environment
from finetune_cli.local.folder import LOGS_DIR
from finetune_cli.local.nodes import Node
from finetune_cli.local.outcome import DEADLINE, STOPPED, Outcome, ending
from finetune_cli.local.ports import reserved_port
from finetune_cli.local.stop import StopRequests
from finetune_cli.local.watch import Show, Watch
from finetune_trainer import fence
from finetune_trainer.fence import Generation, Token
from finetune_trainer.results.earlier_run import saved_step

LAUNCHER = (sys.executable, "-m", "finetune_trainer")


@dataclass(frozen=True)
class LocalRun:
    """A run that may start: the folder is ours and locked, the resolved job is written into it.

    Attributes:
        lock: file descriptor that the launchers inherit.
        command: argv of a launcher.
    """

    job: FineTuneJob
    output: Path
    layout: Layout
    mounts: Mapping[str, str]
    lock: int
    command: Sequence[str] = LAUNCHER


def run_attempts(run: LocalRun, show: Show, stop: StopRequests) -> Outcome:
    """Run the job to its end. Every process of an attempt has left before the next one starts."""
    policy = run.job.spec.run_policy
    started = time.monotonic()
    # The last save is part of the time that was given.
    deadline = started + (policy.active_deadline_seconds or float("inf")) - policy.graceful_stop_seconds
    first = generation = next_generation(run.output)
    restarts = 0
    while True:
        logs = run.output / LOGS_DIR / f"attempt-{generation.attempt}"
        codes, account = _attempt(run, generation, logs, deadline, show, stop)
        expired = time.monotonic() >= deadline
        decision = decide(codes, restarts=restarts, max_restarts=policy.max_restarts, stopping=stop.asked or expired)
        if decision == STOPPED and not stop.asked:
            decision = DEADLINE
        delay = retry_delay(restarts) if decision.charged else 0.0
        restarts += decision.charged
        show(events.AttemptEnded(generation.attempt, decision, account.message if account else "", restarts, delay))
        if decision.action == "retry":
            decision = _wait(delay, deadline, stop) or decision
        if decision.action != "retry":
            break
        generation = replace(generation, attempt=generation.attempt + 1)
    state, reason, message = ending(decision, account, policy)
    attempts = generation.attempt - first.attempt + 1
    return Outcome(state, reason, message, saved_step(run.output), attempts, restarts, logs, time.monotonic() - started)


def next_generation(output: Path) -> Generation:
    """One attempt more than ever ran in this folder, here or on a cluster: an old process can never be taken for a new one."""
    newest = fence.newest(output / STATE_DIR) or Generation(job_created=0, attempt=-1)
    logs = (re.fullmatch(r"attempt-(\d+)", path.name) for path in (output / LOGS_DIR).glob("attempt-*"))
    return replace(newest, attempt=max(newest.attempt, *(int(match[1]) for match in logs if match), -1) + 1)


def _wait(delay: float, deadline: float, stop: StopRequests) -> Decision | None:
    """Sleep; the decision that ends the run if something happens meanwhile."""
    until = time.monotonic() + delay
    while time.monotonic() < until:
        if stop.asked:
            return STOPPED
        if time.monotonic() >= deadline:
            return DEADLINE
        time.sleep(0.05)
    return None


def _attempt(
    run: LocalRun, generation: Generation, logs: Path, deadline: float, show: Show, stop: StopRequests
) -> tuple[list[int], TerminationMessage | None]:
    """One attempt from start to the last process: exit codes of the nodes, and why it did not succeed."""
    logs.mkdir(parents=True, exist_ok=True)
    wanted = run.job.spec.distributed.master_port
    with reserved_port(wanted) as port, tempfile.TemporaryDirectory(prefix="finetune-") as name:
        if port != wanted:
            note = f"Port {wanted} (spec.distributed.masterPort) is in use on this machine: the processes meet at {port}."
            show(events.Noted(note))
        scratch = Path(name)
        nodes = [_start_node(run, generation, rank, port, scratch, logs) for rank in range(run.layout.nodes)]
        show(events.AttemptStarted(generation.attempt, logs))
        watch = Watch(nodes, _port_file(scratch, 0), show, stop)
        left = supervise(nodes, run.job.spec.run_policy.graceful_stop_seconds, deadline, stop, watch.tick)
        words = [read_last_words(node, _termination_log(scratch, node.rank)) for node in left]
    return [word.exit_code for word in words], verdict(words, logs)


def _start_node(run: LocalRun, generation: Generation, rank: int, port: int, scratch: Path, logs: Path) -> Node:
    start = NodeStart(
        job_file=run.output / RESOLVED_JOB_FILE,
        output=run.output,
        token=Token(generation.job_created, generation.attempt, pod_uid=str(uuid.uuid4())),
        node_rank=rank,
        master_port=port,
        mounts=run.mounts,
        port_file=_port_file(scratch, rank),
        termination_log=_termination_log(scratch, rank),
        parent_pid=os.getpid(),
    )
    env = node_environment(os.environ, run.job, run.layout, start, len(os.sched_getaffinity(0)))
    return Node(rank, run.command, env, logs / log_name(rank), run.lock)


def _port_file(scratch: Path, rank: int) -> Path:
    return scratch / f"port-{rank}"


def _termination_log(scratch: Path, rank: int) -> Path:
    return scratch / f"termination-{rank}.json"
