"""The time line of a run: what it was doing when, and what lay between its attempts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune_api.contract import ExitCode, Phase
from finetune_trainer.results.attempts import Attempt

Kind = Literal["getting ready", "training", "evaluating", "saving", "finishing", "restarting", "suspended"]

_KINDS: Mapping[Phase, Kind] = {
    "starting": "getting ready",
    "downloading": "getting ready",
    "preparing": "getting ready",
    "waiting": "getting ready",
    "loading": "getting ready",
    "training": "training",
    "evaluating": "evaluating",
    "saving": "saving",
    "finishing": "finishing",
    "done": "finishing",
}


@dataclass(frozen=True)
class Span:
    """A stretch of time, in Unix seconds.

    Attributes:
        attempt: number of the attempt; of the one before for what lies between two.
        what: the same as `kind`, told more closely.
    """

    kind: Kind
    start: float
    end: float
    attempt: int
    what: str


def spans(attempts: Sequence[Attempt], last_logged: float) -> list[Span]:
    """The whole time line without holes.

    Args:
        last_logged: Unix time of the last line of the training log. A last attempt without an end was there at least so long.
    """
    found: list[Span] = []
    for attempt, following in itertools.zip_longest(attempts, attempts[1:]):
        end = attempt.last_seen if attempt.end or following else max(attempt.last_seen, last_logged)
        bounds = [*(at for at, _, _ in attempt.phases[1:]), end]
        for (start, phase, _), stop in zip(attempt.phases, bounds, strict=True):
            if phase in _KINDS and stop > start:
                found.append(Span(_KINDS[phase], start, stop, attempt.number, phase))
        if following and following.begun > end:
            found.append(_between(attempt, end, following.begun))
    return found


def _between(attempt: Attempt, start: float, stop: float) -> Span:
    """What may pass by itself is restarted; from anything else the run waits until somebody starts it again."""
    end = attempt.end
    if end is None or end.exit_code in (None, ExitCode.RETRYABLE, ExitCode.STALLED):
        return Span("restarting", start, stop, attempt.number, f"restarting after {end.reason if end else 'Killed'}")
    what = "suspended, preempted or stopped" if end.exit_code == ExitCode.PREEMPTED else f"ended: {end.reason}"
    return Span("suspended", start, stop, attempt.number, what)


State = Literal["completed", "stopped", "failed", "under way", ""]


def state(attempts: Sequence[Attempt]) -> State:
    """Where the run stands, by its last attempt: "under way" as far as its folder tells; "" without a record."""
    if not attempts:
        return ""
    end = attempts[-1].end
    if end is None:
        return "under way"
    if end.exit_code == ExitCode.OK:
        return "completed"
    return "stopped" if end.exit_code == ExitCode.PREEMPTED else "failed"
