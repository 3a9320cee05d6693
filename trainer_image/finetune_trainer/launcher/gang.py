"""The ranks of this node from rendezvous to the last exit: watched, and ended when they must be."""

from __future__ import annotations

import signal
import time

from finetune_api.contract import ExitCode, Phase
from finetune_trainer.launcher import stall
from finetune_trainer.launcher.cgroup import oom_kills
from finetune_trainer.launcher.context import Context
from finetune_trainer.launcher.process import Watched
from finetune_trainer.launcher.rank_process import outcome_file
from finetune_trainer.launcher.rendezvous import wait_for_nodes
from finetune_trainer.launcher.say import say
from finetune_trainer.launcher.starter import Starter
from finetune_trainer.launcher.supervise import Interruption, Limits, View, interruption
from finetune_trainer.launcher.verdict import End, Verdict, judge

#: After SIGKILL a starter needs a moment to notice; one that does not is left behind.
KILL_SECONDS = 10.0
#: A peer's launcher writes down why it failed a moment after its ranks broke the connection.
PEER_WORD_SECONDS = 5.0

_WORDS: dict[Interruption, str] = {
    "StoppedAtOnce": "second signal",
    "StopTimedOut": "not saved in time",
    "Stalled": "no sign of life",
    "PeerFailed": "another node has failed",
    "RankFailed": "another rank has failed",
    "Lingering": "finished, but not leaving",
}


def run_ranks(context: Context, starter: Starter) -> Verdict:
    """Start the ranks, wait for their end (or bring it about), and say what became of them."""
    kills_before = oom_kills()
    timeout = context.job.spec.distributed.rendezvous_timeout_seconds
    context.enter("waiting", "waiting for all nodes")
    starter.start()
    if (failed := wait_for_nodes(context, starter, timeout)) is not None:
        starter.close()
        return failed
    ranks = _take_hold(context, starter)
    say("ranks started: " + ", ".join(f"{rank.name} is process {rank.pid}" for rank in ranks))
    context.leader = ranks[0]
    watch = _Watch(context, starter, ranks)
    why = watch.until_over()
    ends = [watch.end(rank) for rank in ranks]
    verdict = judge(
        ends, interruption=why, peer=context.peer, stop_requested=context.stop.requested, oom_kills=oom_kills() - kills_before
    )
    if verdict.reason == "PeerLost" and context.peer is None and _peer_explains(context):
        verdict = judge(ends, interruption=why, peer=context.peer, stop_requested=context.stop.requested)
    return verdict


class _Watch:
    """The loop around running ranks."""

    def __init__(self, context: Context, starter: Starter, ranks: list[Watched]) -> None:
        self._context, self._starter, self._ranks = context, starter, ranks
        policy = context.job.spec.run_policy
        self._limits = Limits(stall_timeout=policy.stall_timeout_seconds, graceful_stop=policy.graceful_stop_seconds)
        self._started_at = time.monotonic()
        self._rank_failed_at: float | None = None
        self._all_done_at: float | None = None
        self._peer_failed_at: float | None = None
        self._forwarded = False
        self._killed: set[Watched] = set()

    def until_over(self) -> Interruption | None:
        """Watch until all ranks have ended. Returns why they had to be killed, if they had to."""
        why: Interruption | None = None
        while self._starter.running and why is None:
            self._context.tick()
            self._forward_stop()
            why = interruption(self._view(), self._limits)
        if why is not None:
            self._kill(why)
        return why

    def end(self, rank: Watched) -> End:
        """How a rank ended."""
        beat, outcome = rank.beat(), outcome_file(rank.scratch, int(rank.slot))
        phase: Phase = beat.phase if beat else "starting"
        code = int(outcome.read_text()) if outcome.exists() else self._starter.exit_codes.get(int(rank.slot))
        silent = time.monotonic() - max(self._started_at, beat.at if beat else 0.0)
        killed = rank in self._killed or (
            code == -signal.SIGTERM and self._rank_failed_at is not None and not self._context.stop.requested
        )
        step = beat.progress.get("step") if beat else None
        return End(rank.name, rank.rank, code, rank.failure(), phase, step, killed, silent)

    def _view(self) -> View:
        now = time.monotonic()
        working, failed, beats = 0, False, {}
        for rank in self._ranks:
            if outcome_file(rank.scratch, int(rank.slot)).exists():
                continue
            working += 1
            if rank.alive():
                beat = rank.beat()
                beats[int(rank.slot)] = beat.at if beat else None
            else:
                failed = True
        if failed:
            self._rank_failed_at = self._rank_failed_at or now
        if not working:
            self._all_done_at = self._all_done_at or now
        if self._context.peer and not self._context.peer.is_stop:
            self._peer_failed_at = self._peer_failed_at or now
        stop = self._context.stop
        return View(
            now=now,
            started_at=self._started_at,
            beats=beats,
            rank_failed_at=self._rank_failed_at,
            all_done_at=self._all_done_at,
            peer_failed_at=self._peer_failed_at,
            stop_requested_at=stop.requested_at,
            stop_at_once=stop.at_once,
        )

    def _forward_stop(self) -> None:
        if self._context.stop.requested and not self._forwarded:
            self._forwarded = True
            say("asked to stop: the ranks save the same step and leave")
            for rank in self._ranks:
                rank.signal(signal.SIGTERM)

    def _kill(self, why: Interruption) -> None:
        peer_stalled = self._context.peer is not None and self._context.peer.exit_code == ExitCode.STALLED
        if why == "Stalled" or (why == "PeerFailed" and peer_stalled):
            stall.dump_stacks(self._ranks)
        left = [rank for rank in self._ranks if rank.alive()]
        if left:
            say(f"{_WORDS[why]}: killing " + ", ".join(rank.name for rank in left))
        for rank in left:
            self._killed.add(rank)
            rank.signal(signal.SIGKILL)
        if why != "Lingering":
            self._starter.wait(KILL_SECONDS)


def _take_hold(context: Context, starter: Starter) -> list[Watched]:
    first = context.settings.node_rank * context.settings.nproc_per_node
    return [
        Watched.open(f"rank {first + local}", first + local, str(local), pid, context.scratch)
        for local, pid in sorted((starter.pids or {}).items())
    ]


def _peer_explains(context: Context) -> bool:
    deadline = time.monotonic() + (PEER_WORD_SECONDS if context.settings.nnodes > 1 else 0.0)
    while context.peer is None and time.monotonic() < deadline:
        context.tick()
    return context.peer is not None
