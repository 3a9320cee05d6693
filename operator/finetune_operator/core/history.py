"""What happened to a job before an attempt: counters that each attempt's Job carries on."""

from __future__ import annotations

from typing import NamedTuple

from finetune_operator.core.model import Attempt


class History(NamedTuple):
    """Number of an attempt, and restarts, preemptions and seconds of running before it."""

    attempt: int = 0
    restarts: int = 0
    preemptions: int = 0
    ran_seconds: float = 0.0


def before(attempt: Attempt) -> History:
    """The history that the attempt was created with."""
    return History(attempt.number, attempt.restarts, attempt.preemptions, attempt.ran_seconds)
