"""What one rank's trainer is put together from."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune_api.spec import Training
from finetune_trainer.checkpoint.save import Checkpoints
from finetune_trainer.data.reader import Rows
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.rank.batches import BatchPlan
from finetune_trainer.rank.group import Ranks
from finetune_trainer.rank.step_log import StepLog
from finetune_trainer.rank.timings import Timings
from finetune_trainer.strategies.base import Strategy


@dataclass
class StepTally:
    """What this rank has used in the step under way."""

    samples: list[int] = field(default_factory=list)
    tokens: int = 0

    def add(self, samples: list[int], tokens: int) -> None:
        """Add a micro-batch."""
        self.samples += samples
        self.tokens += tokens

    def clear(self) -> None:
        """Begin the next step."""
        self.samples, self.tokens = [], 0


@dataclass(frozen=True)
class Parts:
    """Attributes:
    plan: which rows make a step.
    packed: rows hold several samples.
    eval_rows: rows to evaluate on, if any.
    tally: filled with what the step under way has used.
    log: trainer_log.jsonl, with the number of steps.
    """

    training: Training
    plan: BatchPlan
    packed: bool
    train_rows: Rows
    eval_rows: Rows | None
    strategy: Strategy
    checkpoints: Checkpoints
    ranks: Ranks
    tally: StepTally
    log: StepLog
    heartbeat: Heartbeat
    timings: Timings
