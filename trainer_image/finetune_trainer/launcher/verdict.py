"""What became of this node's attempt, in one exit code and one paragraph: pure, from what the processes left behind."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from finetune_api.contract import ExitCode, Phase, Progress
from finetune_trainer.failure import Failure
from finetune_trainer.launcher.causes import MORE_HOST_MEMORY, Cause, explain, explain_exit
from finetune_trainer.launcher.peers import PeerFailure
from finetune_trainer.launcher.supervise import Interruption

#: Longer messages of exceptions are cut: the whole text is in the traceback.
MAX_MESSAGE = 1200


@dataclass(frozen=True)
class End:
    """How one process ended.

    Attributes:
        name: "rank 3", "prepare".
        rank: global rank; None for prepare.
        exit_code: one of contract.ExitCode, another code, or a negative signal; None when unknown.
        failure: its own account.
        phase, step: of its last heartbeat.
        killed: by the launcher or the agent, after something else had happened.
        seconds_silent: since its last heartbeat, when it had to be killed for that.
    """

    name: str
    rank: int | None
    exit_code: int | None
    failure: Failure | None = None
    phase: Phase = "starting"
    step: int | None = None
    killed: bool = False
    seconds_silent: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What the launcher leaves with.

    Attributes:
        traceback: of the root cause, for the log.
        progress: where training stood at the end.
    """

    exit_code: ExitCode
    reason: str
    message: str
    rank: int | None = None
    phase: Phase | None = None
    step: int | None = None
    traceback: str = ""
    progress: Progress | None = None


def judge(
    ends: Sequence[End],
    *,
    interruption: Interruption | None = None,
    peer: PeerFailure | None = None,
    stop_requested: bool = False,
    oom_kills: int = 0,
) -> Verdict:
    """Find the root cause. A process's own real failure comes before what others only noticed.

    Args:
        interruption: why the launcher killed its processes, if it did.
        peer: the failure of another node.
        stop_requested: SIGTERM, SIGINT or a peer that was asked to stop.
        oom_kills: processes of this container that the kernel killed for memory during the attempt.
    """
    if interruption == "Stalled":
        return _stalled(ends)
    root = _root(ends)
    if root and not _explained(root, oom_kills).secondary:
        return _failed(root, _explained(root, oom_kills))
    if interruption in ("StopTimedOut", "StoppedAtOnce"):
        return _not_saved(ends, interruption)
    if peer and (root or interruption == "PeerFailed"):
        message = (
            f"Node {peer.node_rank} has failed ({peer.reason}), so this node stops as well. Node {peer.node_rank}: {peer.message}"
        )
        return Verdict(ExitCode.RETRYABLE, "PeerLost", message)
    if root:
        return _failed(root, _explained(root, oom_kills))
    codes = {end.exit_code for end in ends}
    if codes == {ExitCode.OK}:
        return Verdict(ExitCode.OK, "Completed", "All ranks have finished.")
    if stop_requested or ExitCode.PREEMPTED in codes:
        return preempted(max((end.step or 0 for end in ends), default=0))
    return Verdict(ExitCode.RETRYABLE, "RankFailed", "The ranks ended without a word. The lines above may say more.")


def preempted(step: int) -> Verdict:
    """The end on request, with everything saved that there was to save."""
    saved = f"Stopped on request at step {step}, which is saved." if step else "Stopped on request before the first step."
    return Verdict(ExitCode.PREEMPTED, "Stopped", f"{saved} Run again to continue.", step=step or None)


def _root(ends: Sequence[End]) -> End | None:
    """The process whose end explains the others', if one ended badly."""
    bad = [end for end in ends if end.exit_code not in (ExitCode.OK, ExitCode.PREEMPTED) and (end.failure or not end.killed)]
    return min(bad, key=lambda end: (_order(end), end.failure.time if end.failure else 0.0), default=None)


def _order(end: End) -> int:
    """Which account to believe first: the user's error, a kill, an exception, a bare exit, an echo of another's end, SIGTERM."""
    if end.failure:
        if end.failure.user_error:
            return 0
        return 4 if explain(end.failure).secondary else 2
    if end.exit_code == -signal.SIGTERM:  # The agent's, when another rank has failed.
        return 5
    aborted = end.exit_code == -signal.SIGABRT  # Native code does that when a peer is lost.
    return 3 if aborted or (end.exit_code or 0) >= 0 else 1


def _explained(end: End, oom_kills: int) -> Cause:
    return explain(end.failure) if end.failure else explain_exit(end.exit_code, oom_kills)


def _failed(end: End, cause: Cause) -> Verdict:
    failure = end.failure
    phase = failure.phase if failure else end.phase
    step = failure.step if failure and failure.step is not None else end.step
    row = f" (data row: {failure.row})" if failure and failure.row else ""
    what = _words(failure) if failure else _bare(end.exit_code)
    out_of_memory_in_prepare = end.rank is None and cause.reason == "OutOfMemory"  # No setting of the training helps there.
    advice = MORE_HOST_MEMORY if out_of_memory_in_prepare else cause.advice
    parts = [f"{_sentence(end.name)} failed{_place(phase, step)}{row}: {what.rstrip('.')}.", cause.cause, advice]
    message = " ".join(part for part in parts if part)
    return Verdict(cause.code, cause.reason, message, end.rank, phase, step, failure.traceback if failure else "")


def _stalled(ends: Sequence[End]) -> Verdict:
    first = max(ends, key=lambda end: end.seconds_silent or 0.0)
    others = len(ends) - 1
    message = (
        f"{_sentence(first.name)} gave no sign of life for {first.seconds_silent or 0.0:.0f} s{_place(first.phase, first.step)}"
        + (f" (and {others} more on this node)" if others else "")
        + ". It waits for a rank that hangs, or for a device, file system or download that does not answer; the stacks in the log "
        "above show where. If it was only slow, raise spec.runPolicy.stallTimeoutSeconds."
    )
    return Verdict(ExitCode.STALLED, "Stalled", message, first.rank, first.phase, first.step)


def _not_saved(ends: Sequence[End], interruption: Interruption) -> Verdict:
    step = max((end.step or 0 for end in ends), default=0) or None
    if interruption == "StoppedAtOnce":
        message = "Stopped at once by the second signal, without a save. Run again to continue from the last checkpoint."
    else:
        message = (
            "The ranks had not saved and left within spec.runPolicy.gracefulStopSeconds after SIGTERM, and were killed. The next "
            "start continues from the last checkpoint. Raise gracefulStopSeconds above the time of one step and one save."
        )
    return Verdict(ExitCode.RETRYABLE, interruption, message, step=step)


def _words(failure: Failure) -> str:
    return _cut(failure.message if failure.user_error else f"{failure.type}: {failure.message}")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _place(phase: Phase, step: int | None) -> str:
    return f" while {phase}" + (f", at step {step}" if step else "")


def _bare(exit_code: int | None) -> str:
    if exit_code is None:
        return "it is gone"
    return f"ended by signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]} ..."
