"""When an attempt is over: the one gate before the next attempt may be created.

A Job that is complete or failed never makes pods again. Neither does one that the operator suspended, as soon as the Job
controller has taken note of that (condition Suspended): before, it may still be about to create pods from what it read earlier.
"""

from __future__ import annotations

from finetune_operator.core.model import Attempt


def is_over(attempt: Attempt) -> bool:
    """No process of the attempt runs, and none will: true of a fresh read only, since pods may be missing from a cache."""
    return _makes_no_pods(attempt) and all(pod.over for pod in attempt.pods)


def _makes_no_pods(attempt: Attempt) -> bool:
    return attempt.state != "active" or (attempt.stopped is not None and attempt.suspended and attempt.ended_at is not None)


def is_held(attempt: Attempt) -> bool:
    """Somebody else, for example a queue, suspended the attempt and will let it run."""
    return attempt.state == "active" and attempt.suspended and attempt.stopped is None
