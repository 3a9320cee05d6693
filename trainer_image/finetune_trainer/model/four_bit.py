"""Method qlora: the linear layers of the model in 4 bits, by bitsandbytes (nf4, its scales quantised once more), frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from typing import TYPE_CHECKING, Any

from finetune_trainer.errors import UserError

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig

_UNITS = (("GiB", 1024**3), ("MiB", 1024**2))


def check_installed() -> None:
    """Raises UserError PackageMissing without bitsandbytes."""
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "PackageMissing",
            "spec.training.method: qlora needs the package bitsandbytes, which is not installed here.",
            "pip install 'finetune-operator[qlora]'.",
        )


def four_bit_config(compute_dtype: str) -> BitsAndBytesConfig:
    """What from_pretrained needs to quantise while it reads.

    Args:
        compute_dtype: torch's name of the type that weights are dequantised to for a multiplication. The 4-bit weights also lie in
            memory as numbers of this type, eight or four to each: FSDP2 splits floating-point tensors only, and casts all of
            them to the compute type, which must change nothing.
    """
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
        bnb_4bit_quant_storage=compute_dtype,
    )


def parameter_counts(model: Any) -> tuple[int, int]:
    """Weights of the model, all and trained, as many as there were before they were quantised or split."""
    packed = {id(layer.weight): prod(layer.quant_state.shape) for _, layer in _layers(model)}
    sizes = [(packed.get(id(p), getattr(p, "ds_numel", p.numel())), p.requires_grad) for p in model.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)


@dataclass(frozen=True)
class FourBitWeights:
    """Bytes of the 4-bit weights.

    Attributes:
        here: on this rank.
        total: of the whole model.
        scales: of the scales, which every rank holds as a whole.
        others: on this rank, of weights that are frozen and not in 4 bits (embeddings, norms, output head).
    """

    here: int
    total: int
    scales: int
    others: int

    def __str__(self) -> str:
        here, total, scales, others = (_size(count) for count in (self.here, self.total, self.scales, self.others))
        return f"4-bit weights: {here} on this rank of {total} in all, {scales} of scales; {others} here are not in 4 bits"


def measure(model: Any) -> FourBitWeights:
    """What this rank holds, read from the tensors that are there. After everything is wrapped."""
    layers = [layer for _, layer in _layers(model)]
    packed = {id(layer.weight) for layer in layers}
    return FourBitWeights(
        here=sum(_held(layer.weight) for layer in layers),
        total=sum(prod(layer.quant_state.shape) for layer in layers) // 2,
        scales=sum(_scales(layer.quant_state) for layer in layers),
        others=sum(_held(p) for p in model.parameters() if not p.requires_grad and id(p) not in packed),
    )


def check_four_bit(model: Any, compute_dtype: str) -> None:
    """Every layer that bitsandbytes took over must be in 4 bits, of the kind that was asked for.

    Raises:
        UserError: NotInForce.
    """
    layers = dict(_layers(model))
    if not layers:
        raise UserError("NotInForce", "method qlora: no layer of the model is in 4 bits.", "Use method: lora.")
    for name, layer in layers.items():
        state = layer.quant_state
        kind = (state.quant_type, state.nested, str(layer.compute_dtype), layer.weight.requires_grad)
        if kind != ("nf4", True, f"torch.{compute_dtype}", False):
            raise UserError("NotInForce", f"method qlora: {name} has type, double quantisation, compute type, trained: {kind}.")
        stored = getattr(layer.weight, "ds_numel", layer.weight.numel()) * layer.weight.element_size()
        if not 0 <= stored - prod(state.shape) // 2 < layer.weight.element_size():
            raise UserError("NotInForce", f"method qlora: {name} has {prod(state.shape)} weights in {stored} bytes.")


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """The layers in 4 bits; none when bitsandbytes is not even loaded."""
    import sys

    bitsandbytes = sys.modules.get("bitsandbytes")
    if bitsandbytes is None:
        return
    for name, module in model.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            yield name, module


def _held(parameter: Any) -> int:
    """Bytes of this rank's part: of a DTensor, of ZeRO-3's partition, or the whole."""
    part = parameter.to_local() if hasattr(parameter, "to_local") else getattr(parameter, "ds_tensor", parameter)
    return int(part.numel() * part.element_size())


def _size(count: int) -> str:
    return next((f"{count / size:.1f} {unit}" for unit, size in _UNITS if count >= size), f"{count / 1024:.1f} KiB")


def _scales(state: Any) -> int:
    tensors = [state.absmax, *([state.state2.absmax] if state.nested else [])]
    return sum(int(tensor.numel() * tensor.element_size()) for tensor in tensors)
