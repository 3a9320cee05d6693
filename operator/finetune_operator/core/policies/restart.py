"""What follows an attempt that is over, and when: the restart policy that `finetune run` has as well."""

from __future__ import annotations

from finetune_api.restart import Decision, decide, retry_delay
from finetune_api.spec import RunPolicy
from finetune_api.status import Failure
from finetune_operator.core.history import History
from finetune_operator.core.model import Attempt
from finetune_operator.core.policies.deadline import ran_seconds
from finetune_operator.core.policies.disruption import exit_codes
from finetune_operator.core.policies.failure import known_code, was_disrupted

#: An attempt that was not charged is followed at once, unless it was as short as this: something takes the pods away each time,
#: or the trainer always leaves with the code that means "continue later".
BRIEF_SECONDS = 60.0


def decision(attempt: Attempt, policy: RunPolicy, known: Failure | None) -> Decision:
    """What follows an attempt that did not complete.

    Args:
        known: the failure that the status tells of. An operator that has been restarted since may have seen it in the watch.
    """
    codes = exit_codes(attempt.pods, was_disrupted(attempt, known))
    if (code := known_code(attempt, known)) is not None:
        codes.append(code)
    return decide(codes, restarts=attempt.restarts, max_restarts=policy.max_restarts, stopping=attempt.stopped is not None)


def history_after(attempt: Attempt, decided: Decision, now: float) -> History:
    """The counters after the attempt; the number is still its own."""
    preempted = decided.action == "retry" and not decided.charged
    return History(attempt.number, attempt.restarts + decided.charged, attempt.preemptions + preempted, ran_seconds(attempt, now))


def not_before(attempt: Attempt, decided: Decision) -> float:
    """Unix time from which on the next attempt may be created."""
    ended = attempt.created_at if attempt.ended_at is None else attempt.ended_at
    if decided.action != "retry":
        return ended
    if decided.charged:
        return ended + retry_delay(attempt.restarts)
    brief = ended - (attempt.started_at or attempt.created_at) < BRIEF_SECONDS
    return ended + (retry_delay(attempt.preemptions) if brief else 0.0)
