"""NativeDDP: each rank holds the whole model, gradients are averaged. Rank 0 writes the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune_trainer.checkpoint.state import load_state, save_state
from finetune_trainer.errors import UserError


class Ddp:
    """torch.nn.parallel.DistributedDataParallel, also around a single rank."""

    name = "ddp"

    def arguments(self) -> dict[str, Any]:
        """Every trained parameter is used in every step, so DDP need not search the graph for unused ones."""
        return {"ddp_find_unused_parameters": False}

    def check_in_force(self, trainer: Any, world_size: int) -> None:
        """The wrapper must be DDP over all ranks."""
        import torch.distributed as dist
        from torch.nn.parallel import DistributedDataParallel

        wrapped = trainer.model_wrapped
        if not isinstance(wrapped, DistributedDataParallel):
            raise UserError("NotInForce", f"strategy ddp was asked for, but the model is wrapped in {type(wrapped).__name__}.")
        if dist.get_world_size(wrapped.process_group) != world_size:
            raise UserError("NotInForce", f"strategy ddp spans {dist.get_world_size(wrapped.process_group)} of {world_size} ranks.")

    def save(self, trainer: Any, folder: Path) -> None:
        """Trained parameters and persistent buffers as model.safetensors, the rest beside them; rank 0 only."""
        if not trainer.args.should_save:
            return
        save_state(folder, "model", _changing_tensors(trainer.model))
        save_state(folder, "optimizer", trainer.optimizer.state_dict())
        save_state(folder, "scheduler", trainer.lr_scheduler.state_dict())
        if trainer.accelerator.scaler is not None:
            save_state(folder, "scaler", trainer.accelerator.scaler.state_dict())

    def load_model(self, trainer: Any, folder: Path) -> None:
        """In place, so that tied parameters stay tied."""
        import torch

        saved = load_state(folder, "model")
        with torch.no_grad():
            for name, tensor in _changing_tensors(trainer.model).items():
                tensor.copy_(saved[name])

    def load_optimizer(self, trainer: Any, folder: Path) -> None:
        """Exact: what was saved is what is loaded, bit for bit."""
        trainer.optimizer.load_state_dict(load_state(folder, "optimizer"))
        trainer.lr_scheduler.load_state_dict(load_state(folder, "scheduler"))
        if trainer.accelerator.scaler is not None:
            trainer.accelerator.scaler.load_state_dict(load_state(folder, "scaler"))


def _changing_tensors(model: Any) -> dict[str, Any]:
    """Name -> tensor of all that training can change: parameters with gradients (once where tied) and persistent buffers."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    known = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: tensor for name, tensor in model.state_dict().items() if name not in known}
    return parameters | buffers
