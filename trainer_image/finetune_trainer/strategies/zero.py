"""DeepSpeed's optimizer for ZeRO stages 1 and 2: where its parts of the parameters are.

All parameters of a group lie behind each other in one flat buffer, cut into as many parts as there are ranks. Seen in 0.19
(runtime/zero/stage_1_and_2.py). The order in the buffer is that of `round_robin_bit16_groups`; `_hp_mapping`, which DeepSpeed's own
conversion goes by, is wrong with round_robin_gradients: it counts as if the parameters had kept their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune_trainer.checkpoint.pieces import Piece, SavedPieces
from finetune_trainer.strategies.base import not_in_force
from finetune_trainer.strategies.flat import Run, fill, piece
from finetune_trainer.strategies.whole import trained_parameters

#: DeepSpeed fills a partition up to a multiple of this many bytes and more; a tenth covers it for models worth splitting.
_PADDING_ELEMENTS = 4096


def check(name: str, optimizer: Any, stage: int, trained: int, world_size: int, offload: bool) -> None:
    """Raises UserError NotInForce when the optimizer is not ZeRO's, or not split over all ranks, or not where it was asked for."""
    from deepspeed.runtime.zero.stage_1_and_2 import DeepSpeedZeroOptimizer

    if not isinstance(optimizer, DeepSpeedZeroOptimizer):
        raise not_in_force(name, f"the optimizer is {type(optimizer).__name__}")
    if bool(optimizer.partition_gradients) != (stage == 2):
        raise not_in_force(name, f"gradients are {'' if optimizer.partition_gradients else 'not '}split")
    low = {str(part.dtype) for part in optimizer.single_partition_of_fp32_groups} - {"torch.float32"}
    if low:
        raise not_in_force(name, f"the optimizer works on {', '.join(sorted(low))}, not on float32")
    held = sum(part.numel() for part in optimizer.single_partition_of_fp32_groups)
    if held > trained / world_size + _PADDING_ELEMENTS * world_size * len(optimizer.single_partition_of_fp32_groups):
        raise not_in_force(name, f"this rank holds {held} of {trained} elements of the optimizer, with {world_size} ranks")
    if bool(optimizer.cpu_offload) != offload:
        raise not_in_force(name, f"the optimizer is {'' if optimizer.cpu_offload else 'not '}offloaded")
    away = {str(part.device) for part in optimizer.single_partition_of_fp32_groups} - {"cpu"}
    if offload and away:
        raise not_in_force(name, f"the optimizer is on {', '.join(sorted(away))}")


def pieces(module: Any, optimizer: Any) -> Iterator[Piece]:
    """This rank's run of each parameter that it has one of."""
    runs = _runs(optimizer)
    for name, parameter in trained_parameters(module).items():
        if (run := runs.get(id(parameter))) is not None:
            yield piece(name, tuple(parameter.shape), run, optimizer.optimizer)


def load(module: Any, optimizer: Any, saved: SavedPieces) -> None:
    """Fill this rank's partitions, then give all ranks the new weights."""
    runs = _runs(optimizer)
    for name, parameter in trained_parameters(module).items():
        if (run := runs.get(id(parameter))) is not None:
            fill(run, saved.read(name, run.start, run.length), optimizer.optimizer)
    optimizer.update_lp_params()


def _runs(optimizer: Any) -> dict[int, Run]:
    """id of a parameter -> what this rank has of it."""
    import torch.distributed as dist

    found = {}
    for group, flat in enumerate(optimizer.single_partition_of_fp32_groups):
        first = dist.get_rank(optimizer.real_dp_process_group[group]) * flat.numel()
        parameters, offsets = optimizer.round_robin_bit16_groups[group], optimizer.round_robin_bit16_offsets[group]
        for parameter, offset in zip(parameters, offsets, strict=True):
            low, high = max(offset, first), min(offset + parameter.numel(), first + flat.numel())
            if low < high:
                found[id(parameter)] = Run(low - offset, high - low, low - first, flat)
    return found
