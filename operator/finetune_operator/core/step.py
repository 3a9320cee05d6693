"""One step of a job's life, as plan.py decides it: what to do now, and where the job then stands."""

from __future__ import annotations

from dataclasses import dataclass

from finetune_api.status import Failure
from finetune_operator.core.conditions import Fact
from finetune_operator.core.history import History
from finetune_operator.core.model import Action, Create
from finetune_operator.core.standing import Standing


@dataclass(frozen=True)
class Step:
    """What plan.py decided.

    Attributes:
        history: the counters of the status.
        accepted: the condition Accepted, where it was looked into.
        failure: why an attempt did not succeed; None leaves what is known.
        look_again: in so many seconds, even if nothing happens.
        finished_at: when the job succeeded or failed for good.
    """

    standing: Standing
    history: History
    actions: tuple[Action, ...] = ()
    accepted: Fact | None = None
    failure: Failure | None = None
    look_again: float | None = None
    finished_at: float | None = None

    @property
    def creates(self) -> bool:
        """Whether an attempt is created."""
        return any(isinstance(action, Create) for action in self.actions)
