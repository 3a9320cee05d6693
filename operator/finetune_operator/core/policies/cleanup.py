"""Attempts that are no longer wanted: old ones are deleted, and none but the newest may run."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_operator.core.model import Action, Attempt, DeleteAttempt, Stop

#: The logs of the newest attempts stay readable with `kubectl logs`.
KEPT = 3


def cleanup(attempts: Sequence[Attempt]) -> list[Action]:
    """Delete all but the newest three, and stop what runs beside the newest."""
    old, kept = attempts[:-KEPT], attempts[-KEPT:-1]
    deleted: list[Action] = [DeleteAttempt(attempt.name, attempt.uid) for attempt in old if not attempt.deleting]
    return deleted + [stop_obsolete(attempt) for attempt in kept if may_run(attempt)]


def stop_obsolete(attempt: Attempt) -> Stop:
    """Nobody wants it to run any more."""
    return Stop(attempt.name, attempt.uid, "obsolete")


def may_run(attempt: Attempt) -> bool:
    """Its Job could still have running pods of its own accord."""
    return attempt.state == "active" and not attempt.deleting and not (attempt.suspended and attempt.stopped is not None)
