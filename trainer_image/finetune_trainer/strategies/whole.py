"""Parameters that every rank holds as a whole, with an optimizer of torch's: DDP, and DeepSpeed where it splits nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from finetune_trainer.checkpoint.pieces import VALUE, Piece, SavedPieces


def trained_parameters(model: Any) -> dict[str, Any]:
    """Name -> parameter with gradients, once where tied."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def persistent_buffers(model: Any) -> dict[str, Any]:
    """Name -> buffer that belongs to the model's state; training may change it, and every rank has all of it."""
    buffers = dict(model.named_buffers())
    passing = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        for name in module._non_persistent_buffers_set
    }
    return {name: buffer for name, buffer in buffers.items() if name not in passing}


def buffer_pieces(model: Any) -> Iterator[Piece]:
    """The persistent buffers, for the one rank that writes them."""
    for name, buffer in persistent_buffers(model).items():
        yield Piece(name, tuple(buffer.shape), 0, {VALUE: buffer})


def load_buffers(model: Any, saved: SavedPieces) -> None:
    """The reverse of buffer_pieces, on every rank."""
    for name, buffer in persistent_buffers(model).items():
        buffer.copy_(saved.read(name, 0, buffer.numel())[VALUE].reshape(buffer.shape))


def whole_pieces(model: Any, optimizer: Any, masters: Mapping[int, Any] = MappingProxyType({})) -> Iterator[Piece]:
    """Every trained parameter with its state, and the buffers.

    Args:
        optimizer: torch's.
        masters: id of a parameter -> the float32 copy that the optimizer works on, where there is one.
    """
    for name, parameter in trained_parameters(model).items():
        master = masters.get(id(parameter), parameter)
        yield Piece(name, tuple(parameter.shape), 0, {VALUE: master, **optimizer.state.get(master, {})})
    yield from buffer_pieces(model)


def load_whole(model: Any, optimizer: Any, saved: SavedPieces, masters: Mapping[int, Any] = MappingProxyType({})) -> None:
    """The reverse of whole_pieces. In place, so that tied parameters stay tied."""
    import torch

    fused = fused_parameters(optimizer)
    with torch.no_grad():
        for name, parameter in trained_parameters(model).items():
            found = saved.read(name, 0, parameter.numel())
            master = masters.get(id(parameter), parameter)
            master.copy_(found.pop(VALUE).reshape(master.shape))
            parameter.copy_(master)
            if found:
                optimizer.state[master] = {key: placed_state(tensor, master, fused[id(master)]) for key, tensor in found.items()}
        load_buffers(model, saved)


def fused_parameters(optimizer: Any) -> dict[int, bool]:
    """id of a parameter -> whether torch's fused implementation updates it."""
    return {id(p): bool(group.get("fused")) for group in optimizer.param_groups for p in group["params"]}


def placed_state(tensor: Any, parameter: Any, fused: bool) -> Any:
    """A tensor of an optimizer's state as torch's optimizers hold it: element-wise like its parameter; a step count on the CPU,
    except for a fused optimizer's."""
    if tensor.numel() == parameter.numel() and tensor.dim() == 1:
        return tensor.reshape(parameter.shape).to(parameter.device, copy=True)
    return tensor.to(parameter.device) if fused or tensor.dim() else tensor
