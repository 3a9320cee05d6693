"""spec.training -> transformers.TrainingArguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune_api.spec import Training
from finetune_trainer.errors import UserError


def training_arguments(training: Training, output_dir: Path, strategy_arguments: dict[str, Any], cuda: bool) -> dict[str, Any]:
    """Keyword arguments for TrainingArguments.

    Evaluation, checkpoints, data order and progress lines are ours, so the Trainer's own are switched off.

    Raises:
        UserError: NoGpu, when the precision needs one.
    """
    if training.precision == "fp16" and not cuda:
        raise UserError(
            "NoGpu",
            "spec.training.precision: fp16 needs a GPU and this node shows none.",
            "Use bf16 or fp32 on the CPU.",
        )
    return {
        "output_dir": str(output_dir),
        "num_train_epochs": training.num_train_epochs,
        "max_steps": training.max_steps,
        "per_device_train_batch_size": training.per_device_train_batch_size,
        "per_device_eval_batch_size": training.per_device_eval_batch_size,
        "gradient_accumulation_steps": training.gradient_accumulation_steps,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.lr_scheduler_type,
        "warmup_steps": training.warmup_ratio,  # A fraction below 1 is a ratio of all steps in transformers 5.
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "optim": training.optim,
        "bf16": training.precision == "bf16",
        "fp16": training.precision == "fp16",
        "activation_checkpointing": training.gradient_checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": False} if training.gradient_checkpointing else None,
        "seed": training.seed,
        "data_seed": training.seed,
        "logging_strategy": "steps",
        "logging_steps": training.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # It would replace a NaN by the mean of earlier losses.
        "eval_strategy": "no",  # rank/schedule.py asks for it.
        "save_strategy": "steps",
        "save_steps": training.save_steps,
        "average_tokens_across_devices": True,
        "remove_unused_columns": False,
        "use_cache": False,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": not cuda,
        **strategy_arguments,
        **_typed(training.extra_args),
    }


def _typed(extra_args: Mapping[str, Any]) -> dict[str, Any]:
    """YAML and JSON do not tell 0 from 0.0, TrainingArguments and what it feeds (Adam's betas) do."""
    from transformers import TrainingArguments

    floats = {field.name for field in dataclasses.fields(TrainingArguments) if isinstance(field.default, float)}
    return {name: float(value) if name in floats and type(value) is int else value for name, value in extra_args.items()}
