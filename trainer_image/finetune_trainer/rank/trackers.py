"""spec.training.reportTo: trackers besides trainer_log.jsonl, fed by rank 0."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finetune_api import contract

if TYPE_CHECKING:
    from finetune_trainer.rank.trainer import JobTrainer


def add_trackers(trainer: JobTrainer, output: Path, step: int) -> None:
    """Add what reportTo names. `step`: where the run goes on; what an earlier attempt has told after it is hidden."""
    if "tensorboard" in trainer.parts.training.report_to and trainer.parts.ranks.rank == 0:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        trainer.add_callback(TensorBoardCallback(SummaryWriter(str(output / contract.TENSORBOARD_DIR), purge_step=step + 1)))
