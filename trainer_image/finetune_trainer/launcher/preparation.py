"""Prepare, as the launchers see it: node 0 runs it as a child process, the other nodes wait for what it writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from finetune_api.contract import ExitCode
from finetune_trainer.launcher import earlier, stall
from finetune_trainer.launcher.cgroup import oom_kills
from finetune_trainer.launcher.context import Context
from finetune_trainer.launcher.process import Watched
from finetune_trainer.launcher.say import Periodic, say
from finetune_trainer.launcher.verdict import End, Verdict, judge, preempted

#: A prepare that was asked to stop; everything it writes is written atomically.
STOP_SECONDS = 5.0
#: How often node 0 tells the others that prepare is alive.
SIGN_SECONDS = 3.0
SAY_SECONDS = 10.0


def prepare(context: Context, module: str) -> Verdict | None:
    """On node 0: run `python -m MODULE SCRATCH PREPARED` to its end. Returns None when the data is ready, else how it ended."""
    context.prepared_file.unlink(missing_ok=True)
    kills_before = oom_kills()
    argv = [sys.executable, "-m", module, str(context.scratch), str(context.prepared_file)]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)  # Ctrl-C is the launcher's to handle.
    watched = Watched.open("prepare", None, "prepare", child.pid, context.scratch)
    context.enter("preparing")
    context.leader = watched
    started, told = time.monotonic(), 0.0
    while child.poll() is None:
        context.tick()
        now, beat = time.monotonic(), watched.beat()
        if now - told > SIGN_SECONDS:
            told = now
            _sign(context, beat.at if beat else started)
        if context.stop.requested or context.peer:
            _end(child)
            return _interrupted(context)
        if stall.silent(now, started, {0: beat.at if beat else None}, context.job.spec.run_policy.stall_timeout_seconds):
            stall.dump_stacks([watched])
            child.kill()
            child.wait()
            end = _how(watched, None, now - max(started, beat.at if beat else started))
            return judge([end], interruption="Stalled")
    if context.prepared_file.exists():
        return None
    return judge([_how(watched, child.returncode or None)], oom_kills=oom_kills() - kills_before)


def wait_for_prepared(context: Context) -> Verdict | None:
    """On the other nodes: wait as long as node 0 shows life. Returns None when the data is ready, else how it ended."""
    context.enter("waiting", "waiting for node 0 to prepare model and data")
    patience = context.job.spec.distributed.rendezvous_timeout_seconds
    line = Periodic(SAY_SECONDS)
    sign, changed = "", time.monotonic()
    while not context.prepared_file.exists():
        context.tick()
        if context.stop.requested or context.peer:
            return _interrupted(context)
        now, seen = time.monotonic(), _read(_sign_file(context))
        if seen != sign:  # Compared as text: the clocks of two machines differ.
            sign, changed = seen, now
        if now - changed > patience:
            what = "has stopped preparing" if sign else "has not begun to prepare"
            return Verdict(
                ExitCode.RETRYABLE,
                "PeerLost",
                f"Node 0 {what}: no sign of it in {context.settings.state_dir} for {patience} s. See whether node 0 was started "
                "and whether all nodes mount the same output volume; spec.distributed.rendezvousTimeoutSeconds is their patience.",
                phase="waiting",
            )
        told = line.say(f"waiting for node 0 to prepare model and data ({'it is at work' if sign else 'no sign of it yet'})")
        # On a network volume, node 0 may have seen that the job is complete before this node could.
        if told and (done := earlier.look(context.job, context.settings)) is not None:
            return done
    return None


def _interrupted(context: Context) -> Verdict:
    if context.stop.requested:
        return preempted(0)
    return judge([], interruption="PeerFailed", peer=context.peer)


def _how(watched: Watched, exit_code: int | None, seconds_silent: float | None = None) -> End:
    beat = watched.beat()
    phase = beat.phase if beat else "starting"
    return End("prepare", None, exit_code, watched.failure(), phase, seconds_silent=seconds_silent)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        say("prepare does not stop; killing it")
        child.kill()
        child.wait()


def _sign_file(context: Context) -> Path:
    return context.settings.state_dir / f"prepare-{context.settings.token.generation}.json"


def _sign(context: Context, beat_at: float) -> None:
    """A sign of life for the other nodes. Its content has to differ from the last one's."""
    if context.settings.nnodes > 1:
        path = _sign_file(context)
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps({"time": time.time(), "beat": beat_at, "pid": os.getpid()}))
        scratch.replace(path)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
