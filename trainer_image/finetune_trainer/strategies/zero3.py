"""DeepSpeed's optimizer for ZeRO stage 3: where its parts of the parameters are.

Each parameter is cut into as many equal parts as there are ranks (the last one is filled up); `grad_position` says where this
rank's part lies in the flat buffer of its sub-group. Seen in DeepSpeed 0.19 (runtime/zero/stage3.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from finetune_trainer.checkpoint.pieces import VALUE, Piece, SavedPieces
from finetune_trainer.strategies.base import not_in_force
from finetune_trainer.strategies.whole import trained_parameters


class _Part(NamedTuple):
    """This rank's part of a parameter: `length` elements from `start` on, at `offset` in the sub-group's flat buffer."""

    start: int
    length: int
    group: int
    offset: int


def check(name: str, engine: Any, trained: int, world_size: int, offload_optimizer: bool, offload_weights: bool) -> None:
    """Raises UserError NotInForce when weights or optimizer are not split over all ranks, or not where they were asked for."""
    from deepspeed.runtime.zero.partition_parameters import ZeroParamStatus
    from deepspeed.runtime.zero.stage3 import DeepSpeedZeroOptimizer_Stage3

    optimizer = engine.optimizer
    if not isinstance(optimizer, DeepSpeedZeroOptimizer_Stage3):
        raise not_in_force(name, f"the optimizer is {type(optimizer).__name__}")
    whole = [p for p in engine.module.parameters() if not hasattr(p, "ds_tensor")]
    if whole:
        raise not_in_force(name, f"{len(whole)} parameters are not split")
    wrong = [p for p in engine.module.parameters() if p.ds_tensor.ds_numel * world_size >= p.ds_numel + world_size]
    kept = [p for p in engine.module.parameters() if p.ds_status == ZeroParamStatus.AVAILABLE and not p.ds_persist]
    if wrong or kept:
        raise not_in_force(name, f"{len(wrong)} parameters are not split over {world_size} ranks, {len(kept)} are held as a whole")
    held = sum(part.numel() for part in optimizer.fp32_partitioned_groups_flat)
    if held * world_size > trained + world_size * len(trained_parameters(engine.module)):
        raise not_in_force(name, f"this rank holds {held} of {trained} elements of the optimizer, with {world_size} ranks")
    if bool(optimizer.offload_optimizer) != offload_optimizer or bool(optimizer.offload_param) != offload_weights:
        raise not_in_force(
            name, f"offloading is optimizer: {bool(optimizer.offload_optimizer)}, weights: {bool(optimizer.offload_param)}"
        )
    away = [part for part in optimizer.fp32_partitioned_groups_flat if part.device.type != "cpu"] if offload_optimizer else []
    away += [p for p in engine.module.parameters() if p.ds_tensor.device.type != "cpu"] if offload_weights else []
    if away:
        raise not_in_force(name, f"{len(away)} buffers are on {away[0].device}, not in main memory")


def pieces(module: Any, optimizer: Any) -> Iterator[Piece]:
    """This rank's part of each parameter, without what fills up the last part."""
    for name, parameter in trained_parameters(module).items():
        part = _part(parameter, optimizer)
        if part.length <= 0:
            continue
        flat = optimizer.fp32_partitioned_groups_flat[part.group]
        state = optimizer.optimizer.state.get(flat, {})
        tensors = {key: _cut(tensor, flat, part) for key, tensor in state.items()}
        yield Piece(name, tuple(parameter.ds_shape), part.start, {VALUE: _cut(flat, flat, part), **tensors})


def load(module: Any, optimizer: Any, saved: SavedPieces) -> None:
    """Fill this rank's parts, then the weights that the forward pass gathers."""
    import torch

    state = optimizer.optimizer.state
    for name, parameter in trained_parameters(module).items():
        part = _part(parameter, optimizer)
        if part.length <= 0:
            continue
        flat = optimizer.fp32_partitioned_groups_flat[part.group]
        for key, tensor in saved.read(name, part.start, part.length).items():
            if key == VALUE:
                _cut(flat, flat, part).copy_(tensor)
            elif tensor.dim() == 0:
                state[flat][key] = tensor.clone()
            else:
                if key not in state[flat]:
                    state[flat][key] = torch.zeros_like(flat)
                _cut(state[flat][key], flat, part).copy_(tensor)
    persistent = optimizer.persistent_parameters
    if persistent:  # Small ones, which every rank keeps whole after the first step: their copies are old now.
        persistent[0].partition(persistent)
    for group in range(len(optimizer.fp32_partitioned_groups_flat)):
        optimizer._reassign_or_swap_out_partitioned_parameters(group)
    if persistent:
        persistent[0].all_gather(persistent)


def _part(parameter: Any, optimizer: Any) -> _Part:
    import torch.distributed as dist

    group, offset, size = optimizer.grad_position[optimizer.get_param_id(parameter)]
    start = dist.get_rank(parameter.ds_process_group) * size
    return _Part(start, min(size, parameter.ds_numel - start), group, offset)


def _cut(tensor: Any, flat: Any, part: _Part) -> Any:
    """The part of a tensor that is as long as the sub-group's buffer; a step count as it is."""
    return tensor.data.narrow(0, part.offset, part.length) if tensor.shape == flat.shape else tensor
