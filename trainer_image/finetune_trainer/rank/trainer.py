"""transformers.Trainer with our data order, evaluation and checkpoints in place of its own; the training loop itself is its."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from transformers.trainer import Trainer

from finetune_trainer.checkpoint import schedule
from finetune_trainer.checkpoint.pieces import SavedPieces, write_pieces
from finetune_trainer.checkpoint.save import TRAINER_STATE
from finetune_trainer.checkpoint.state import load_state, save_state
from finetune_trainer.data.reader import Row, Rows
from finetune_trainer.model.four_bit import measure
from finetune_trainer.model.packing import check_packing
from finetune_trainer.rank.batches import FILLER, BatchSampler
from finetune_trainer.rank.collate import EMPTY_ROW, collate
from finetune_trainer.rank.evaluate import evaluation_loss
from finetune_trainer.rank.in_force import check_training
from finetune_trainer.rank.parts import Parts
from finetune_trainer.strategies import scaling


class RowLoader(DataLoader):  # type: ignore[misc]
    """A DataLoader whose epoch can be set. It has no workers: rows are memory-mapped, and nothing is read ahead of its step."""

    def __init__(self, rows: Rows, sampler: BatchSampler, packed: bool) -> None:
        super().__init__(_WithFillers(rows), batch_sampler=sampler, collate_fn=lambda batch: collate(batch, packed))

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer."""
        self.batch_sampler.set_epoch(epoch)


class _WithFillers:
    """Rows by number; FILLER gives an empty one."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Row:
        return EMPTY_ROW if number == FILLER else self._rows[number]


class JobTrainer(Trainer):  # type: ignore[misc]
    """One rank's trainer; **kwargs are those of transformers.Trainer."""

    def __init__(self, parts: Parts, **kwargs: Any) -> None:
        self.parts = parts
        super().__init__(train_dataset=_WithFillers(parts.train_rows), **kwargs)

    def _prepare_for_training(self, *args: Any) -> Any:
        """Everything is wrapped now and nothing is trained yet: the moment to look at what is in force."""
        max_steps, loader, checkpoint = args
        self.parts.strategy.before_wrapping(self)
        prepared = super()._prepare_for_training(max_steps, loader, None)  # DeepSpeed would look for its own files.
        check_training(self, self.parts.training)
        self.parts.strategy.wrapped(self)
        self.parts.strategy.check_in_force(self, self.parts.ranks.world_size)
        if self.parts.packed:
            check_packing(self.model, self.args.device, self.model_wrapped)
        if self.parts.training.method == "qlora" and self.parts.ranks.rank == 0:
            print(measure(self.accelerator.unwrap_model(self.model)), flush=True)
        if checkpoint is not None:
            with self.parts.timings.resuming():
                self._load(Path(checkpoint))
        return prepared

    # --- data ---

    def get_train_dataloader(self) -> RowLoader:
        """This rank's micro-batches; not prepared by accelerate, which would shard them again."""
        return RowLoader(self.parts.train_rows, BatchSampler(self.parts.plan, self.parts.ranks.rank), self.parts.packed)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """The micro-batches of a step; what they hold is tallied and not passed on to the model."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        for batch in batches:
            self.parts.tally.add(batch.pop("samples"), batch.pop("tokens"))
        return batches, items

    # --- evaluation ---

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Token-weighted evaluation loss over all ranks."""
        if self.parts.eval_rows is None:
            raise RuntimeError("there is nothing to evaluate on")
        self.parts.heartbeat.beat("evaluating")
        with self.parts.log.pause():
            loss = evaluation_loss(
                self.model_wrapped,
                self.parts.eval_rows,
                packed=self.parts.packed,
                batch_size=self.args.per_device_eval_batch_size,
                ranks=self.parts.ranks,
                device=self.args.device,
                alive=self.parts.heartbeat.beat,
            )
        metrics = {"eval_loss": loss}
        self.log(metrics)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)  # Marks the wish to evaluate as met.
        self.parts.heartbeat.beat("training")
        return metrics

    # --- checkpoints ---

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        self.parts.heartbeat.beat("saving")
        started = time.perf_counter()
        with self.parts.log.pause():
            self.parts.checkpoints.save(step, self._write_checkpoint)
        seconds = time.perf_counter() - started
        self.parts.timings.saved(seconds)
        self.parts.heartbeat.beat("training", last_checkpoint_step=step, checkpoint_seconds=round(seconds, 3))

    def _write_checkpoint(self, folder: Path) -> None:
        write_pieces(folder, self.parts.ranks.rank, self.parts.strategy.pieces(self))
        if self.args.should_save:
            save_state(folder, "schedule", schedule.capture(self.lr_scheduler))
            if (scale := scaling.capture(self)) is not None:
                save_state(folder, "scale", scale)
            self.state.save_to_json(str(folder / TRAINER_STATE))

    def _load(self, checkpoint: Path) -> None:
        self.parts.strategy.load(self, SavedPieces(checkpoint))
        schedule.restore(self.lr_scheduler, load_state(checkpoint, "schedule"))
        if scaling.capture(self) is not None:
            scaling.restore(self, load_state(checkpoint, "scale"))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Nothing: everything is loaded at once, when it is wrapped."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.parts.checkpoints.restore_rng(Path(checkpoint))
