"""Load a model's weights, and refuse one that is not what was asked for."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from finetune_api.spec import Model, Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.four_bit import four_bit_config
from finetune_trainer.model.supported import check_supported
from finetune_trainer.prepared import LocalModel
from finetune_trainer.upstream import bitsandbytes_cpu_packing
from finetune_trainer.upstream.gguf_rereads import read_once

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.utils.quantization_config import QuantizationConfigMixin


def load_model(local: LocalModel, model: Model, training: Training) -> PreTrainedModel:
    """The model as training needs it, in the type that spec.model.dtype says, without a key-value cache.

    On the CPU; but for method qlora on the rank's GPU, where there is one, with its linear layers in 4 bits: they are quantised
    while they are read, one after the other.

    Raises:
        UserError: ModelUnsupported, ModelIncomplete, ModelUnreadable, AttentionUnsupported, CheckpointingUnsupported.
    """
    four_bit = four_bit_config(training.compute_dtype) if training.method == "qlora" else None
    loaded = load_weights(local, wanted_dtype(model, training), model.attention, model.trust_remote_code, four_bit)
    if four_bit is not None:
        bitsandbytes_cpu_packing.switch_off(loaded)
    loaded.config.get_text_config().use_cache = False
    loaded.config.use_cache = False
    if training.gradient_checkpointing and not loaded.supports_gradient_checkpointing:
        raise UserError(
            "CheckpointingUnsupported",
            f"{type(loaded).__name__} does not support gradient checkpointing.",
            "Set spec.training.gradientCheckpointing: false.",
        )
    return loaded


def wanted_dtype(model: Model, training: Training) -> str:
    """The name of the type that weights are held in: spec.model.dtype, with auto resolved as its description says."""
    if model.dtype != "auto":
        return model.dtype
    return training.compute_dtype if training.has_adapter else "float32"


def load_weights(
    local: LocalModel,
    dtype: str,
    attention: str = "auto",
    trust_remote_code: bool = False,
    quantization: QuantizationConfigMixin | None = None,
) -> PreTrainedModel:
    """Load on the CPU with all weights there, in one type.

    Args:
        dtype: float32, bfloat16, float16, or auto for the type they are stored in.
        attention: auto, sdpa or eager.
        quantization: how to quantise while reading. Not for a GGUF file: prepare has made it a plain model.

    Raises:
        UserError: as load_model.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    where = local.origin
    common: dict[str, Any] = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    if local.gguf_file:
        from transformers import GgufConfig

        common["gguf_file"] = local.gguf_file
        quantization = GgufConfig(dequantize=True)
    try:
        with read_once() if local.gguf_file else nullcontext():
            config = AutoConfig.from_pretrained(local.folder, **common)
            check_supported(config, where)
            loaded, info = AutoModelForCausalLM.from_pretrained(
                local.folder,
                config=config,
                dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                attn_implementation=None if attention == "auto" else attention,
                use_safetensors=True,
                output_loading_info=True,
                **({} if quantization is None else {"quantization_config": quantization}),
                **common,
            )
    except (SafetensorError, EOFError) as error:
        raise UserError(
            "ModelUnreadable", f"The weights of {where} cannot be read: {error}", "Copy or download it again."
        ) from error
    except (ValueError, RuntimeError, OSError, ImportError, NotImplementedError) as error:
        raise _explained(error, where, attention) from error
    _check_complete(info, where)
    if local.gguf_file:
        _drop_gguf_remnants(loaded)
    in_force = loaded.config._attn_implementation
    if attention not in ("auto", in_force):
        raise UserError(
            "AttentionUnsupported", f"attention {attention} was asked for, {in_force} is in force.", "Set attention: auto."
        )
    loaded.config.name_or_path = loaded.name_or_path = where
    return loaded  # type: ignore[no-any-return, unused-ignore]


def stored_dtype(local: LocalModel, trust_remote_code: bool = False) -> str:
    """The name of the type that the weights are stored in; float32 when the config does not say."""
    from transformers import AutoConfig

    if local.gguf_file:
        return "float32"
    config = AutoConfig.from_pretrained(local.folder, trust_remote_code=trust_remote_code, local_files_only=True)
    return str(config.dtype or "float32").removeprefix("torch.")


def _check_complete(info: dict[str, Any], where: str) -> None:
    for key, what in (("missing_keys", "lack"), ("unexpected_keys", "have unknown"), ("mismatched_keys", "have wrong shapes of")):
        names = sorted(str(name) for name in info[key])
        if names:
            listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise UserError(
                "ModelIncomplete", f"The weights of {where} {what} {listed}.", "Weights and config.json must belong together."
            )


def _drop_gguf_remnants(model: PreTrainedModel) -> None:
    """The weights are plain now; transformers still takes the model for a quantized one, and would refuse to save or train it."""
    if getattr(model, "hf_quantizer", None) is None:
        return
    del model.hf_quantizer, model.config.quantization_config, model.is_quantized, model.quantization_method


def _explained(error: Exception, where: str, attention: str) -> UserError:
    text = str(error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    if attention != "auto" and "attention" in text.lower():
        return UserError("AttentionUnsupported", f"{where} does not support attention {attention}: {first}", "Set attention: auto.")
    if "trust_remote_code" in text:
        return UserError(
            "ModelUnsupported", f"{where} needs Python code of its own.", "Read it, then set model.trustRemoteCode: true."
        )
    if "size mismatch" in text.lower() or "mismatched" in text.lower():
        return UserError(
            "ModelIncomplete", f"The weights of {where} do not fit its config.json: {first}", "Both must belong together."
        )
    return UserError("ModelUnreadable", f"{where} cannot be loaded: {first}")
