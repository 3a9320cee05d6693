"""Packing puts several samples into one row: prove on the loaded model that none sees another, and refuse layers that leak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finetune_trainer.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

#: Layers whose mask transformers builds from position_ids that restart at each sample.
_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention", "attention"}
#: Config fields that only models with recurrent or state-space layers have.
_RECURRENT_FIELDS = ("mamba_d_state", "mamba_d_ssm", "state_size", "ssm_cfg", "lru_width", "linear_num_key_heads", "conv_L_cache")
_RECURRENT_TYPES = ("mamba", "rwkv", "xlstm", "jamba", "zamba", "bamba", "recurrent_gemma", "nemotron_h")

_SAMPLE = 24
#: Largest change of a token's loss that counts as none. Measured: 0 where nothing leaks, 1e-2 and more where something does.
_TOLERANCE = 1e-5


def packing_refusal(config: Any) -> str | None:
    """Why a model with this config cannot be packed, or None. Recurrent layers carry their state from one sample into the next."""
    layers = list(getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or [])
    other = sorted({layer for layer in layers if layer not in _ATTENTION})
    field = next((f for f in _RECURRENT_FIELDS if getattr(config, f, None) is not None), None)
    if other or field or config.model_type.startswith(_RECURRENT_TYPES):
        what = ", ".join(other) or field or "recurrent layers"
        return f"{config.model_type} has layers ({what}) that carry state from one packed sample into the next."
    return None


def check_packing(model: PreTrainedModel, device: torch.device | str, wrapped: torch.nn.Module | None = None) -> None:
    """Change the first of two packed samples and make sure that no token's loss in the second changes. Two forward passes.

    The batch is laid out as rank/collate.py does it; the model's own settings (use_cache, attention) stay as they are.

    Args:
        wrapped: what a strategy has made of the model, to be called in its place; all ranks call it at the same time.

    Raises:
        UserError: PackingLeaks, or PackingUnsupported from the config alone.
    """
    import torch

    refusal = packing_refusal(model.config.get_text_config())
    if refusal:
        raise UserError("PackingUnsupported", refusal, "Set spec.dataset.packing: false.")
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(2 * _SAMPLE, device=device).mul(7919).add(11).remainder(vocabulary)
    changed = ids.clone()
    changed[:_SAMPLE] = (changed[:_SAMPLE] + vocabulary // 2).remainder(vocabulary)
    called = model if wrapped is None else wrapped
    was_training = called.training
    called.eval()
    try:
        with torch.no_grad():
            change = (_losses(called, ids) - _losses(called, changed)).abs().max().item()
    finally:
        called.train(was_training)
    if not change <= _TOLERANCE:
        raise UserError(
            "PackingLeaks",
            f"Packed samples see each other in {type(model).__name__}: changing one moved its neighbour's loss by {change:.2g}.",
            "Set spec.dataset.packing: false.",
        )


def _losses(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Loss of each token of the second sample but its first: float32 [rows, _SAMPLE - 1]. Two equal rows, as in a batch."""
    import torch

    rows = ids.repeat(2, 1)
    positions = torch.arange(_SAMPLE, device=ids.device).repeat(2, 2)
    logits = model(input_ids=rows, position_ids=positions).logits[:, _SAMPLE:-1].float()
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), rows[:, _SAMPLE + 1 :], reduction="none")
