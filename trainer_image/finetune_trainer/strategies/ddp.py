"""NativeDDP: each rank holds the whole model, gradients are averaged. Rank 0 writes the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune_trainer.checkpoint.pieces import Piece, SavedPieces
from finetune_trainer.strategies.base import not_in_force
from finetune_trainer.strategies.whole import load_whole, whole_pieces


class Ddp:
    """torch.nn.parallel.DistributedDataParallel, also around a single rank."""

    name = "ddp"

    def check_platform(self, cuda: bool) -> None:
        """It runs everywhere."""

    def before_model(self) -> None:
        """Nothing to do."""

    def arguments(self) -> dict[str, Any]:
        """Every trained parameter is used in every step, so DDP need not search the graph for unused ones."""
        return {"ddp_find_unused_parameters": False}

    def check_in_force(self, trainer: Any, world_size: int) -> None:
        """The wrapper must be DDP over all ranks."""
        import torch.distributed as dist
        from torch.nn.parallel import DistributedDataParallel

        wrapped = trainer.model_wrapped
        if not isinstance(wrapped, DistributedDataParallel):
            raise not_in_force(self.name, f"the model is wrapped in {type(wrapped).__name__}")
        if dist.get_world_size(wrapped.process_group) != world_size:
            raise not_in_force(self.name, f"it spans {dist.get_world_size(wrapped.process_group)} of {world_size} ranks")

    def pieces(self, trainer: Any) -> Iterator[Piece]:
        """Everything, on rank 0 alone."""
        if trainer.args.should_save:
            yield from whole_pieces(trainer.model, trainer.optimizer)

    def load(self, trainer: Any, saved: SavedPieces) -> None:
        """Everything, on every rank."""
        load_whole(trainer.model, trainer.optimizer, saved)
