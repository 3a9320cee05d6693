"""Refuse to train when what is in force is not what was asked for. Runs once, after everything is wrapped."""

from __future__ import annotations

from typing import Any

from finetune_api.spec import Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.four_bit import check_four_bit

#: spec.training.precision -> accelerate's mixed_precision.
_MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def check_training(trainer: Any, training: Training) -> None:
    """Compare precision, trained parameters, recomputation, loss weighting and optimizer with spec.training.

    Raises:
        UserError: NotInForce, naming the field and both values.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    _same("precision", _MIXED[training.precision], trainer.accelerator.mixed_precision)
    _same("gradientCheckpointing", training.gradient_checkpointing, bool(getattr(model, "is_activation_checkpointing", False)))
    _same("optim", training.optim, trainer.args.optim if isinstance(trainer.args.optim, str) else trainer.args.optim.value)
    if model.config.use_cache:
        raise UserError("NotInForce", "config.use_cache is on; with it packed samples see each other.")
    if not trainer.model_accepts_loss_kwargs:
        raise UserError(
            "NotInForce",
            f"{type(model).__name__} cannot weigh its loss by tokens (its forward takes no num_items_in_batch).",
            "The loss would depend on the number of ranks; such models are not supported.",
        )
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not training.has_adapter:
        frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
        if frozen:
            raise UserError("NotInForce", f"method full: {len(frozen)} parameters are frozen, first {frozen[0]}.")
    else:
        other = [name for name in trained if "lora_" not in name]
        if other or not trained:
            raise UserError(
                "NotInForce",
                f"method {training.method}: {len(trained)} parameters are trained, not all of the adapter: {other[:3]}.",
            )
    if training.method == "qlora":
        check_four_bit(model, training.compute_dtype)
    if trainer.is_deepspeed_enabled:  # It computes with copies in the precision's type; its own check looks at the float32 ones.
        return
    low = [f"{name} ({p.dtype})" for name, p in trained.items() if str(p.dtype) != "torch.float32"]
    if low and training.has_adapter:
        raise UserError("NotInForce", f"method {training.method}: adapter weights are not float32: {low[:3]}.")


def _same(field: str, wanted: object, found: object) -> None:
    if wanted != found:
        raise UserError("NotInForce", f"spec.training.{field}: {wanted} was asked for, {found} is in force.")
