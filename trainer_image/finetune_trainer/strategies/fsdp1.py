"""FSDP1: torch's FullyShardedDataParallel. The parameters of a layer lie behind each other in one flat one, cut into equal parts.

Its own ways to save go wrong in silence (seen in torch 2.13, accelerate 1.15, peft 0.21): an optimizer whose exp_avg equals its
exp_avg_sq on the CPU, an empty adapter with LoRA. Here each rank reads its part directly, by `_shard_param_infos`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from finetune_trainer.checkpoint.pieces import VALUE, Piece, SavedPieces
from finetune_trainer.errors import UserError
from finetune_trainer.strategies.base import not_in_force
from finetune_trainer.strategies.fsdp import Fsdp
from finetune_trainer.strategies.whole import buffer_pieces, fused_parameters, load_buffers, placed_state
from finetune_trainer.upstream import accelerate_sharding_strategy, peft_fsdp1_names


class _Shard(NamedTuple):
    """This rank's run of elements of a parameter."""

    name: str
    parameter: Any
    shape: tuple[int, ...]
    start: int
    values: Any


class Fsdp1(Fsdp):
    """Pieces are whatever lies in this rank's part of a layer."""

    def check_platform(self, cuda: bool) -> None:
        """Weights that one rank reads are sent through GPUs ("There are currently no available devices found")."""
        super().check_platform(cuda)
        for setting in ("sync_module_states", "cpu_ram_efficient_loading"):
            if self._config.get(setting) and not cuda:
                raise UserError(
                    "NoGpu",
                    f"spec.distributed.fsdp: fsdp_{setting} of version 1 needs a GPU, and this node shows none.",
                    f"Set fsdp_{setting}: false here.",
                )

    def before_model(self) -> None:
        """accelerate takes the sharding strategy from the environment only."""
        super().before_model()
        accelerate_sharding_strategy.ask_for(self._sharding)

    def before_wrapping(self, trainer: Any) -> None:
        """An adapter is found again when it is saved.

        Raises:
            UserError: ModelUnsupported, when it lies on weights that are no layer of their own, as those of a mixture of experts:
                peft reads it there from outside of the unit that FSDP1 has made of it, where this rank's part is all there is.
        """
        if not hasattr(trainer.model, "peft_config"):
            return
        from peft.tuners.lora.layer import ParamWrapper

        if names := [name for name, module in trainer.model.named_modules() if isinstance(module, ParamWrapper)]:
            raise UserError(
                "ModelUnsupported",
                f"spec.distributed.fsdp: {self.name} cannot train an adapter on {names[0]}, a weight that is no layer of its own.",
                "Use fsdp2 or zero3, which can, or name other layers in training.lora.targetModules.",
            )
        peft_fsdp1_names.apply()

    @property
    def _sharding(self) -> str:
        return str(self._config["reshard_after_forward"]).upper()

    def check_in_force(self, trainer: Any, world_size: int) -> None:
        """All layers are wrapped, fully sharded over all ranks."""
        from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy

        model = trainer.model_wrapped
        if not isinstance(model, FullyShardedDataParallel):
            raise not_in_force(self.name, f"the model is a {type(model).__name__}, not sharded")
        units = FullyShardedDataParallel.fsdp_modules(model)
        if len(units) < 2:
            raise not_in_force(self.name, "no layer is a unit of its own")
        for unit in units:
            if unit.process_group.size() != world_size:
                raise not_in_force(self.name, f"it spans {unit.process_group.size()} of {world_size} ranks")
            if world_size > 1 and unit.sharding_strategy != ShardingStrategy[self._sharding]:
                raise not_in_force(self.name, f"{unit.sharding_strategy} is in force")
            if bool(unit.cpu_offload.offload_params) != bool(self._config.get("cpu_offload")):
                raise not_in_force(self.name, f"offloading is {unit.cpu_offload.offload_params}")

    def pieces(self, trainer: Any) -> Iterator[Piece]:
        """This rank's run of each trained parameter."""
        for shard in _shards(trainer.model):
            state = trainer.optimizer.state.get(shard.parameter, {})
            flat = {key: tensor.reshape(-1) if tensor.dim() else tensor for key, tensor in state.items()}
            yield Piece(shard.name, shard.shape, shard.start, {VALUE: shard.values, **flat})
        if trainer.args.should_save:
            yield from buffer_pieces(_Plain(trainer.model))

    def load(self, trainer: Any, saved: SavedPieces) -> None:
        """This rank's runs, in place; the optimizer's state anew."""
        import torch

        optimizer = trainer.optimizer
        fused = fused_parameters(optimizer)
        with torch.no_grad():
            for shard in _shards(trainer.model):
                found = saved.read(shard.name, shard.start, shard.values.numel())
                shard.values.copy_(found.pop(VALUE))
                if found:
                    optimizer.state[shard.parameter] = {
                        key: placed_state(tensor, shard.parameter, fused[id(shard.parameter)]) for key, tensor in found.items()
                    }
            load_buffers(_Plain(trainer.model), saved)


def _shards(model: Any) -> Iterator[_Shard]:
    from torch.distributed.fsdp import FullyShardedDataParallel

    names = {id(parameter): _clean(name) for name, parameter in model.named_parameters()}
    for unit in FullyShardedDataParallel.fsdp_modules(model):
        handle = unit._handle
        if handle is None:
            continue
        flat = handle.flat_param
        for parameter, shape, info in zip(flat._params, flat._shapes, flat._shard_param_infos, strict=True):
            if parameter.requires_grad and info.in_shard:
                local = getattr(flat, "_local_shard", flat)  # There from the first step on; then `flat` may hold the whole layer.
                values = local.narrow(0, info.offset_in_shard, info.numel_in_shard)
                yield _Shard(names[id(parameter)], parameter, tuple(shape), info.intra_param_start_idx, values)


def _clean(name: str) -> str:
    return name.replace("_fsdp_wrapped_module.", "")


class _Plain:
    """A wrapped model whose buffers and modules have the names of the plain one."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        return ((_clean(name), buffer) for name, buffer in self._model.named_buffers())

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        return ((_clean(name), module) for name, module in self._model.named_modules())
