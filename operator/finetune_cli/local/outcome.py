"""How a run ended, in a word for programs and a paragraph for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune_api.contract import TerminationMessage
from finetune_api.restart import Decision
from finetune_api.spec import RunPolicy

State = Literal["done", "complete", "stopped", "failed", "refused"]
EXIT_CODES: Mapping[State, int] = {"done": 0, "complete": 0, "failed": 1, "refused": 2, "stopped": 130}
DEADLINE = Decision("fail", False, "DeadlineExceeded")
STOPPED = Decision("pause", False, "Stopped")


@dataclass(frozen=True)
class Outcome:
    """How the attempts ended.

    Attributes:
        state: complete means that the run had been finished before, refused that nothing was started.
        reason: CamelCase, of a failure; message: one paragraph about it.
        saved_step: newest checkpoint.
        logs: folder of the last attempt's output.
        seconds: since the start of this command.
    """

    state: State
    reason: str = ""
    message: str = ""
    saved_step: int | None = None
    attempts: int = 0
    restarts: int = 0
    logs: Path | None = None
    seconds: float = 0.0


def ending(decision: Decision, account: TerminationMessage | None, policy: RunPolicy) -> tuple[State, str, str]:
    """State, reason and message after `decision` (not a retry) ended the run; `account`: why the last attempt did not succeed."""
    if decision.action == "done":
        return "done", "", ""
    if decision.action == "pause":
        return "stopped", "", ""
    if decision == DEADLINE:
        limit = policy.active_deadline_seconds
        return "failed", decision.reason, f"runPolicy.activeDeadlineSeconds ({limit} s) has passed. Running it again continues."
    if account is None:
        return "failed", decision.reason, ""
    message = account.message
    if decision.reason == "MaxRestartsExceeded" and policy.max_restarts:
        message += f"\nGiven up after {policy.max_restarts} restarts (runPolicy.maxRestarts)."
    return "failed", account.reason, message
