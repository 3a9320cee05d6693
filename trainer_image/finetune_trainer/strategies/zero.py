"""DeepSpeed's optimizer for ZeRO stages 1 and 2: where its parts of the parameters are.

All parameters of a group lie behind each other in one flat buffer, cut into as many parts as there are ranks; `_hp_mapping` of a
parameter says which of its elements are in this rank's part. Seen in DeepSpeed 0.19 (runtime/zero/stage_1_and_2.py); it holds for
every order of the parameters in the buffer, round_robin_gradients included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune_trainer.checkpoint.pieces import VALUE, Piece, SavedPieces
from finetune_trainer.strategies.base import not_in_force
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
    held = sum(part.numel() for part in optimizer.single_partition_of_fp32_groups)
    if held > trained / world_size + _PADDING_ELEMENTS * world_size * len(optimizer.single_partition_of_fp32_groups):
        raise not_in_force(name, f"this rank holds {held} of {trained} elements of the optimizer, with {world_size} ranks")
    if bool(optimizer.cpu_offload) != offload:
        raise not_in_force(name, f"the optimizer is {'' if optimizer.cpu_offload else 'not '}offloaded")
    away = {str(part.device) for part in optimizer.single_partition_of_fp32_groups} - {"cpu"}
    if offload and away:
        raise not_in_force(name, f"the optimizer is on {', '.join(sorted(away))}")


def pieces(module: Any, optimizer: Any) -> Iterator[Piece]:
    """This rank's fragment of each parameter that it has one of."""
    for name, parameter in trained_parameters(module).items():
        fragment = parameter._hp_mapping
        if fragment is None:
            continue
        flat = optimizer.single_partition_of_fp32_groups[fragment.param_group_index]
        state = optimizer.optimizer.state.get(flat, {})
        tensors = {key: _cut(tensor, flat, fragment) for key, tensor in state.items()}
        yield Piece(
            name, tuple(parameter.shape), fragment.lp_fragment_address.start, {VALUE: _cut(flat, flat, fragment), **tensors}
        )


def load(module: Any, optimizer: Any, saved: SavedPieces) -> None:
    """Fill this rank's partitions, then give all ranks the new weights."""
    import torch

    state = optimizer.optimizer.state
    for name, parameter in trained_parameters(module).items():
        fragment = parameter._hp_mapping
        if fragment is None:
            continue
        flat = optimizer.single_partition_of_fp32_groups[fragment.param_group_index]
        address = fragment.lp_fragment_address
        for key, tensor in saved.read(name, address.start, address.numel).items():
            if key == VALUE:
                _cut(flat, flat, fragment).copy_(tensor)
            elif tensor.dim() == 0:
                state[flat][key] = tensor.clone()
            else:
                if key not in state[flat]:
                    state[flat][key] = torch.zeros_like(flat)
                _cut(state[flat][key], flat, fragment).copy_(tensor)
    optimizer.update_lp_params()


def _cut(tensor: Any, flat: Any, fragment: Any) -> Any:
    """The fragment of a tensor that is as long as the partition; a step count as it is."""
    address = fragment.hp_fragment_address
    return tensor.data.narrow(0, address.start, address.numel) if tensor.shape == flat.shape else tensor
