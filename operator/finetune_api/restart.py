"""The restart policy: what to do when an attempt has ended. Pure; used by the operator and by `finetune run`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from finetune_api.contract import ExitCode

#: The first match decides: a user error beside a lost peer is a user error (the peers only noticed).
_SEVERITY = (ExitCode.FENCED, ExitCode.USER_ERROR, ExitCode.STALLED, ExitCode.RETRYABLE, ExitCode.PREEMPTED)

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0


@dataclass(frozen=True)
class Decision:
    """What follows an attempt.

    Attributes:
        action: done, retry (start the next attempt), pause (left on request after a save), or fail.
        charged: whether a retry consumes one of maxRestarts.
        reason: CamelCase word for a condition or a log line.
    """

    action: Literal["done", "retry", "pause", "fail"]
    charged: bool
    reason: str


def attempt_outcome(exit_codes: Iterable[int]) -> ExitCode:
    """The one exit code that stands for all nodes of an attempt. Codes outside the contract count as RETRYABLE."""
    known = {int(code) for code in ExitCode}
    codes = {ExitCode(code) if code in known else ExitCode.RETRYABLE for code in exit_codes}
    for code in _SEVERITY:
        if code in codes:
            return code
    return ExitCode.OK


def decide(exit_codes: Iterable[int], *, restarts: int, max_restarts: int, stopping: bool) -> Decision:
    """What to do after an attempt whose nodes left with `exit_codes`.

    Args:
        restarts: charged restarts so far.
        max_restarts: runPolicy.maxRestarts.
        stopping: the stop was asked for (suspend, Ctrl-C), so nothing is started again.
    """
    outcome = attempt_outcome(exit_codes)
    if outcome is ExitCode.OK:
        return Decision("done", False, "Completed")
    if outcome is ExitCode.USER_ERROR:
        return Decision("fail", False, "UserError")
    if outcome is ExitCode.FENCED:
        return Decision("fail", False, "Fenced")
    if stopping:
        return Decision("pause", False, "Stopped")
    if outcome is ExitCode.PREEMPTED:
        return Decision("retry", False, "Preempted")
    reason = "Stalled" if outcome is ExitCode.STALLED else "Failed"
    if restarts >= max_restarts:
        return Decision("fail", False, "MaxRestartsExceeded")
    return Decision("retry", True, reason)


def retry_delay(restarts: int) -> float:
    """Seconds before the next attempt: none the first time, then doubling from one second to half a minute.

    Args:
        restarts: restarts before this one.
    """
    return 0.0 if restarts == 0 else min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(restarts - 1, 10))
