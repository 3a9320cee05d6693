"""The nodes come together: first for node 0's name and port, then for the start of the ranks. Bounded, and never silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from finetune_api.contract import ExitCode
from finetune_trainer import failure, fence
from finetune_trainer.launcher.context import Context
from finetune_trainer.launcher.say import Periodic
from finetune_trainer.launcher.starter import Starter
from finetune_trainer.launcher.verdict import End, Verdict, judge, preempted

SAY_SECONDS = 10.0


def wait_for_master(context: Context) -> Verdict | None:
    """Wait until node 0's name and port answer; on node 0 itself, until its name is known.

    A pod's name is known some seconds after the pod runs. Returns None when they answer, else how the wait ended.
    """
    settings = context.settings
    if settings.node_rank == 0:
        return _wait(context, settings.master_addr, lambda: _look_up(settings.master_addr))
    where = f"{settings.master_addr}:{settings.master_port}"
    return _wait(context, where, lambda: _knock(settings.master_addr, settings.master_port))


def _wait(context: Context, where: str, look: Callable[[], str | None]) -> Verdict | None:
    patience = context.job.spec.distributed.rendezvous_timeout_seconds
    deadline, line = time.monotonic() + patience, Periodic(SAY_SECONDS)
    context.enter("waiting", f"waiting for node 0 at {where}")
    while (problem := look()) is not None:
        line.say(f"waiting for node 0 at {where}: {problem}")
        context.tick()
        if context.stop.requested:
            return preempted(0)
        if context.peer:
            return judge([], interruption="PeerFailed", peer=context.peer)
        if time.monotonic() > deadline:
            return Verdict(
                ExitCode.RETRYABLE,
                "RendezvousTimeout",
                f"Node 0 did not answer at {where} within {patience} s ({problem}). See whether node 0 runs, whether its name "
                "resolves and whether a network policy blocks the port; spec.distributed.rendezvousTimeoutSeconds is its time.",
                phase="waiting",
            )
    return None


def wait_for_nodes(context: Context, starter: Starter, timeout: float) -> Verdict | None:
    """Wait for the start on all nodes. None when the ranks are there (or have come and gone), else how the wait ended."""

    def together() -> bool:
        return starter.pids is not None and (starter.gathers or not starter.running or not _missing(context))

    deadline, line = time.monotonic() + timeout, Periodic(SAY_SECONDS)
    context.tick()
    while starter.running and not together():
        if context.stop.requested:
            return preempted(0)
        if context.peer:
            return judge([], interruption="PeerFailed", peer=context.peer)
        if time.monotonic() > deadline:
            break
        if context.settings.nnodes > 1:
            line.say(f"waiting for the other nodes{_missing(context)}")
        context.tick()
    if together():
        return None
    if starter.error is not None and not _timed_out(starter.error):
        own = failure.describe(starter.error, phase="waiting")
        return judge([End("the start of the ranks", None, None, own, "waiting")])
    return Verdict(
        ExitCode.RETRYABLE,
        "RendezvousTimeout",
        f"The nodes did not come together within {timeout:.0f} s{_missing(context)}. See whether all of them were started (pods "
        f"pending?) and reach node 0 at {context.settings.master_addr}:{context.settings.master_port}; "
        "spec.distributed.rendezvousTimeoutSeconds is the time they have.",
        phase="waiting",
    )


def _missing(context: Context) -> str:
    """Which nodes have not even claimed their place in this attempt."""
    settings = context.settings
    here = {rank for rank, token in fence.tokens(settings.state_dir).items() if token.generation == settings.token.generation}
    missing = sorted(set(range(settings.nnodes)) - here)
    return f" (not started: node {', '.join(map(str, missing[:8]))}{' ...' if len(missing) > 8 else ''})" if missing else ""


def _timed_out(error: Exception) -> bool:
    return "timeout" in str(error).lower() or "timed out" in str(error).lower()


def _look_up(host: str) -> str | None:
    """None if the name is known, else why not."""
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return "its name is not known yet"
    return None


def _knock(host: str, port: int) -> str | None:
    """None if something listens there, else why not."""
    try:
        socket.create_connection((host, port), timeout=2.0).close()
    except socket.gaierror:
        return "its name is not known yet"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None
