"""FSDP2: torch.distributed.fsdp.fully_shard. Each parameter is a DTensor, cut along its first dimension."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from finetune_trainer.checkpoint.pieces import VALUE, Piece, SavedPieces
from finetune_trainer.strategies.base import not_in_force
from finetune_trainer.strategies.fsdp import Fsdp
from finetune_trainer.strategies.whole import buffer_pieces, fused_parameters, load_buffers, placed_state, trained_parameters
from finetune_trainer.upstream import accelerate_fsdp2_loss


class Fsdp2(Fsdp):
    """Pieces are runs of rows."""

    def before_wrapping(self, trainer: Any) -> None:
        """The loss is not rounded."""
        accelerate_fsdp2_loss.keep(trainer.accelerator.state.fsdp_plugin)

    def check_in_force(self, trainer: Any, world_size: int) -> None:
        """All decoder layers are sharded modules, and every parameter is cut over all ranks."""
        from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule
        from torch.distributed.tensor import DTensor, Shard

        model = trainer.model_wrapped
        if not isinstance(model, FSDPModule):
            raise not_in_force(self.name, f"the model is a {type(model).__name__}, not sharded")
        units = sum(isinstance(module, FSDPModule) for module in model.modules())
        if units < 2:
            raise not_in_force(self.name, "no layer is a unit of its own")
        for name, parameter in model.named_parameters():
            if not isinstance(parameter, DTensor):
                raise not_in_force(self.name, f"{name} is not sharded")
            if parameter.device_mesh.size() != world_size or not all(isinstance(p, Shard) for p in parameter.placements):
                raise not_in_force(self.name, f"{name} is {parameter.placements} over {parameter.device_mesh.size()} ranks")
        offloaded = isinstance(trainer.accelerator.state.fsdp_plugin.cpu_offload, CPUOffloadPolicy)
        if offloaded != bool(self._config.get("cpu_offload")):
            raise not_in_force(self.name, f"weights are {'' if offloaded else 'not '}offloaded")

    def pieces(self, trainer: Any) -> Iterator[Piece]:
        """This rank's rows of each parameter."""
        _reshard(trainer.model)
        for name, parameter in trained_parameters(trainer.model).items():
            local = parameter.to_local()
            if local.numel():
                state = trainer.optimizer.state.get(parameter, {})
                tensors = {key: _local(tensor) for key, tensor in state.items()}
                yield Piece(name, tuple(parameter.shape), _start(parameter), {VALUE: local, **tensors})
        if trainer.args.should_save:
            yield from buffer_pieces(trainer.model)

    def load(self, trainer: Any, saved: SavedPieces) -> None:
        """This rank's rows, in place; the optimizer's state anew."""
        import torch
        from torch.distributed.tensor import DTensor

        optimizer = trainer.optimizer
        fused = fused_parameters(optimizer)
        with torch.no_grad():
            for name, parameter in trained_parameters(trainer.model).items():
                local = parameter.to_local()
                if not local.numel():
                    continue
                found = saved.read(name, _start(parameter), local.numel())
                local.copy_(found.pop(VALUE).reshape(local.shape))
                state = {key: placed_state(tensor, local, fused[id(parameter)]) for key, tensor in found.items()}
                if state:
                    mesh, placements = parameter.device_mesh, parameter.placements
                    optimizer.state[parameter] = {
                        key: DTensor.from_local(
                            tensor, mesh, placements, run_check=False, shape=parameter.shape, stride=parameter.stride()
                        )
                        if tensor.dim()
                        else tensor
                        for key, tensor in state.items()
                    }
            load_buffers(trainer.model, saved)


def _reshard(model: Any) -> None:
    """After an evaluation the outermost unit still holds its parameters as a whole."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def _start(parameter: Any) -> int:
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    _, offset = compute_local_shape_and_global_offset(parameter.shape, parameter.device_mesh, parameter.placements)
    return int(offset[0] * prod(parameter.shape[1:]))


def _local(tensor: Any) -> Any:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
