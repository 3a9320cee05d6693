"""Conditions by the Kubernetes API conventions, and the patch that writes a status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, get_args

from finetune_api.status import Condition, ConditionType, FineTuneJobStatus
from finetune_api.times import rfc3339
from finetune_operator.core.model import Manifest
from finetune_operator.core.standing import Standing
from finetune_operator.core.text import message, word


class Fact(NamedTuple):
    """What a condition says."""

    type: ConditionType
    holds: bool
    reason: str
    message: str = ""


def facts(standing: Standing, known: Iterable[Condition]) -> Iterator[Fact]:
    """What follows from where the job stands. A fact is told from when it is first known; Suspended only of jobs that were."""
    phase, reason, text = standing
    running = phase == "Running"
    yield Fact("Running", running, reason, "" if running else text)
    if phase in ("Suspending", "Suspended"):
        yield Fact("Suspended", phase == "Suspended", reason, text)
    elif any(condition.type == "Suspended" for condition in known):
        yield Fact("Suspended", False, "NotSuspended")
    if phase in ("Succeeded", "Failed"):
        yield Fact("Succeeded", phase == "Succeeded", reason, text)
        yield Fact("Failed", phase == "Failed", reason, text)


def updated(known: Iterable[Condition], new: Iterable[Fact], generation: int, now: float) -> list[Condition]:
    """The conditions with the new facts; the time of transition changes with the status only."""
    conditions = {condition.type: condition for condition in known}
    for fact in new:
        status: Literal["True", "False"] = "True" if fact.holds else "False"
        before = conditions.get(fact.type)
        conditions[fact.type] = Condition(
            type=fact.type,
            status=status,
            reason=word(fact.reason),
            message=message(fact.message),
            last_transition_time=before.last_transition_time if before and before.status == status else rfc3339(now),
            observed_generation=generation,
        )
    return [conditions[name] for name in get_args(ConditionType) if name in conditions]


def holds(conditions: Iterable[Condition], name: ConditionType) -> bool | None:
    """Whether the condition holds; None when it is not known."""
    return next((condition.status == "True" for condition in conditions if condition.type == name), None)


def status_patch(old: FineTuneJobStatus, new: FineTuneJobStatus) -> Manifest | None:
    """The JSON merge patch for `/status` that turns whatever is there into `new`; None if nothing changed.

    It holds every field, null where there is no value: what is there may not be `old`, if it could not be read.
    """
    if new == old:
        return None
    body = new.model_dump(mode="json", by_alias=True)
    # A merge patch replaces lists as they are, so there null would stay.
    body["conditions"] = [condition.model_dump(mode="json", by_alias=True, exclude_none=True) for condition in new.conditions]
    return {"status": body}
