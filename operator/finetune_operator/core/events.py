"""Which Events tell of a change of status: one for each thing that a person may want to act on."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_api.status import Condition, FineTuneJobStatus
from finetune_operator.core.model import Event


def events(old: FineTuneJobStatus, new: FineTuneJobStatus) -> tuple[Event, ...]:
    """The Events of the step from `old` to `new`."""
    return (*_acceptance(_accepted(old), _accepted(new)), *_attempts(old, new), *_phases(old, new))


def _acceptance(old: Condition | None, new: Condition | None) -> Iterator[Event]:
    if new is None or not new.message or (old is not None and (old.status, old.message) == (new.status, new.message)):
        return
    yield Event("Warning", "Refused" if new.status == "False" else "NoNodeFits", new.message)


def _attempts(old: FineTuneJobStatus, new: FineTuneJobStatus) -> Iterator[Event]:
    why = new.last_failure.message if new.last_failure is not None else ""
    if new.restarts > old.restarts:
        yield Event("Warning", "Restarting", f"Restart {new.restarts}: {why}")
    if new.preemptions > old.preemptions:
        yield Event("Normal", "Preempted", f"Continues, without counting as a restart: {why}")


def _phases(old: FineTuneJobStatus, new: FineTuneJobStatus) -> Iterator[Event]:
    if new.phase == old.phase:
        return
    if new.phase == "Failed":
        yield Event("Warning", "Failed", new.message)
    elif new.phase in ("Suspended", "Succeeded"):
        yield Event("Normal", new.phase, new.message)


def _accepted(status: FineTuneJobStatus) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == "Accepted"), None)
