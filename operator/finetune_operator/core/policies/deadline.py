"""runPolicy.activeDeadlineSeconds: how long attempts may run in all. Time in which none runs does not count."""

from __future__ import annotations

from finetune_api.spec import RunPolicy
from finetune_operator.core.model import Attempt


def ran_seconds(attempt: Attempt, now: float) -> float:
    """How long the attempts up to and with this one have run."""
    if attempt.started_at is None:
        return attempt.ran_seconds
    until = now if attempt.ended_at is None else attempt.ended_at
    return attempt.ran_seconds + max(0.0, until - attempt.started_at)


def seconds_left(policy: RunPolicy, ran: float) -> float | None:
    """Seconds until the job has to be stopped; not positive: now. None: no deadline. The last save is part of the time given."""
    if policy.active_deadline_seconds is None:
        return None
    return policy.active_deadline_seconds - policy.graceful_stop_seconds - ran


def exceeded(policy: RunPolicy, ran: float) -> bool:
    """Whether the time is used up."""
    left = seconds_left(policy, ran)
    return left is not None and left <= 0


def words(policy: RunPolicy) -> str:
    """What a person is told."""
    return (
        f"runPolicy.activeDeadlineSeconds ({policy.active_deadline_seconds} s, of which {policy.graceful_stop_seconds} s are for "
        "the last save) has passed."
    )
