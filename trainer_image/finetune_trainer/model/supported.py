"""Which models can be trained at all, judged by their config alone."""

from __future__ import annotations

from typing import Any

from finetune_trainer.errors import UserError


def check_supported(config: Any, where: str) -> None:
    """Refuse models that are not plain causal language models with full-precision weights.

    Args:
        config: a transformers PreTrainedConfig.
        where: how to name the model in an error.

    Raises:
        UserError: ModelUnsupported.
    """
    why = _refusal(config)
    if why:
        raise UserError("ModelUnsupported", f"{where} ({config.model_type}) cannot be trained: {why[0]}", why[1])


def _refusal(config: Any) -> tuple[str, str] | None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if getattr(config, "is_encoder_decoder", False):
        return "it is an encoder-decoder model.", "Choose a causal language model (a decoder)."
    if any(getattr(config, part, None) is not None for part in ("vision_config", "audio_config")):
        return "it takes images or sound besides text.", "Choose the text-only model of the same family."
    quantized = getattr(config, "quantization_config", None)
    if quantized is not None:
        method = quantized.get("quant_method") if isinstance(quantized, dict) else getattr(quantized, "quant_method", "")
        if str(getattr(method, "value", method)) != "gguf":
            return f"its weights are quantized ({method}).", "Choose the original, unquantized model."
    has_code = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not has_code:
        return "it is not a causal language model.", "Choose a model that generates text (AutoModelForCausalLM)."
    architectures = getattr(config, "architectures", None) or []
    if architectures and not has_code and not any("CausalLM" in name or "LMHead" in name for name in architectures):
        return (
            f"its weights are those of {architectures[0]}, without a language model's output head.",
            "Choose a causal language model.",
        )
    return None
