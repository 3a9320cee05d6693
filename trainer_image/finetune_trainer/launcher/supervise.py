"""When the launcher ends its ranks: pure, times in, decision out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from finetune_trainer.launcher.stall import silent

#: After one rank has failed the others can only hang in a collective, or meet the same error.
RANK_FAILED_GRACE = 3.0
#: The same, with the failure on another node.
PEER_FAILED_GRACE = 3.0
#: A rank that has reported its end and still does not leave is stuck in a destructor; nothing is lost with it.
EXIT_GRACE = 10.0

Interruption = Literal["StoppedAtOnce", "StopTimedOut", "Stalled", "PeerFailed", "RankFailed", "Lingering"]


@dataclass(frozen=True)
class View:
    """What is known of the ranks of this node at one moment. Times are time.monotonic(); None: has not happened.

    Attributes:
        beats: local ranks that are at work -> last sign of life.
        rank_failed_at: a rank was seen to have ended without having reported good order.
        all_done_at: all ranks were seen to have reported good order.
        peer_failed_at: the failure of another node was seen.
    """

    now: float
    started_at: float
    beats: Mapping[int, float | None]
    rank_failed_at: float | None = None
    all_done_at: float | None = None
    peer_failed_at: float | None = None
    stop_requested_at: float | None = None
    stop_at_once: bool = False


@dataclass(frozen=True)
class Limits:
    """Seconds from spec.runPolicy."""

    stall_timeout: float
    graceful_stop: float


def interruption(view: View, limits: Limits) -> Interruption | None:
    """Why the ranks are to be killed now, or None to go on waiting."""

    def over(since: float | None, seconds: float) -> bool:
        return since is not None and view.now - since > seconds

    if view.all_done_at is not None:
        return "Lingering" if over(view.all_done_at, EXIT_GRACE) else None
    if view.stop_at_once:
        return "StoppedAtOnce"
    if over(view.rank_failed_at, RANK_FAILED_GRACE):
        return "RankFailed"
    if over(view.peer_failed_at, PEER_FAILED_GRACE):
        return "PeerFailed"
    if over(view.stop_requested_at, limits.graceful_stop):
        return "StopTimedOut"
    if silent(view.now, view.started_at, view.beats, limits.stall_timeout):
        return "Stalled"
    return None
