"""DeepSpeed's optimizer for ZeRO stage 3: where its parts of the parameters are.

Each parameter is cut into as many equal parts as there are ranks (the last one is filled up); `grad_position` says where this
rank's part lies in the flat buffer of its sub-group. Seen in DeepSpeed 0.19 (runtime/zero/stage3.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune_trainer.checkpoint.pieces import Piece, SavedPieces
from finetune_trainer.strategies.base import not_in_force
from finetune_trainer.strategies.flat import Run, fill, piece
from finetune_trainer.strategies.whole import trained_parameters


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
    low = {str(part.dtype) for part in optimizer.fp32_partitioned_groups_flat} - {"torch.float32"}
    if low:
        raise not_in_force(name, f"the optimizer works on {', '.join(sorted(low))}, not on float32")
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
        run = _run(parameter, optimizer)
        if run.length > 0:
            yield piece(name, tuple(parameter.ds_shape), run, optimizer.optimizer)


def load(module: Any, optimizer: Any, saved: SavedPieces) -> None:
    """Fill this rank's parts, then the weights that the forward pass gathers."""
    for name, parameter in trained_parameters(module).items():
        run = _run(parameter, optimizer)
        if run.length > 0:
            fill(run, saved.read(name, run.start, run.length), optimizer.optimizer)
    persistent = optimizer.persistent_parameters
    if persistent:  # Small ones, which every rank keeps whole after the first step: their copies are old now.
        persistent[0].partition(persistent)
    for group in range(len(optimizer.fp32_partitioned_groups_flat)):
        optimizer._reassign_or_swap_out_partitioned_parameters(group)
    if persistent:
        persistent[0].all_gather(persistent)


def _run(parameter: Any, optimizer: Any) -> Run:
    import torch.distributed as dist

    group, offset, size = optimizer.grad_position[optimizer.get_param_id(parameter)]
    start = dist.get_rank(parameter.ds_process_group) * size
    return Run(start, min(size, parameter.ds_numel - start), offset, optimizer.fp32_partitioned_groups_flat[group])
