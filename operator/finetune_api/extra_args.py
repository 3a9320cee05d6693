"""spec.training.extraArgs: which names it may not hold, and which ones TrainingArguments does not know.

The API server cannot check the keys of a map whose values have several types, so these checks are made by `finetune validate`, by
the operator before anything is created, and by the trainer.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Iterable
from pathlib import Path

from finetune_api.problems import Problem, nearest, snake_case
from finetune_api.spec import Training

_AT = "spec.training.extraArgs"

#: Names that are set through a field of the job.
_FIELDS = {
    **{name: f"spec.training.{field.alias}" for name, field in Training.model_fields.items() if name != "extra_args"},
    "bf16": "spec.training.precision",
    "fp16": "spec.training.precision",
    "activation_checkpointing": "spec.training.gradientCheckpointing",
    "warmup_steps": "spec.training.warmupRatio",
    "data_seed": "spec.training.seed",
    "ddp_backend": "spec.distributed.backend",
    "ddp_timeout": "spec.distributed.rendezvousTimeoutSeconds",
    "deepspeed": "spec.distributed.strategy",
    "fsdp": "spec.distributed.strategy",
    "fsdp_config": "spec.distributed.strategy",
    "parallelism_config": "spec.distributed.strategy",
    "eval_strategy": "spec.training.evalSteps",
    "save_strategy": "spec.training.saveSteps",
    "logging_strategy": "spec.training.loggingSteps",
}

_CHECKPOINTS = "checkpoints are written and resumed by the trainer itself."
_ORDER = "rows come in a fixed order, so that a resumed run sees each sample once."
_EVALUATION = "evaluation is the trainer's own; see spec.training.evalSteps and perDeviceEvalBatchSize."
_PROCESS = "the launcher decides it for each process."
_HUB = "results go to the output folder only."
_LOSS = "the loss is weighted by trained tokens over all processes and always logged."
_MEMORY = "spec.training.gradientCheckpointing sets it up."
_ROWS = "rows are prepared and put together by the trainer itself."

#: Names that belong to the trainer: why -> which.
_OWNED_BY_REASON = {
    _CHECKPOINTS: """output_dir overwrite_output_dir resume_from_checkpoint save_only_model save_on_each_node save_safetensors
        enable_jit_checkpoint load_best_model_at_end metric_for_best_model greater_is_better auto_find_batch_size
        restore_callback_states_from_checkpoint""",
    _ORDER: """ignore_data_skip dataloader_drop_last dataloader_in_order dataloader_num_workers dataloader_pin_memory
        dataloader_persistent_workers dataloader_prefetch_factor dataloader_multiprocessing_context train_sampling_strategy
        length_column_name group_by_length accelerator_config""",
    _EVALUATION: """eval_on_start eval_delay eval_accumulation_steps eval_do_concat_batches eval_use_gather_object
        include_for_metrics batch_eval_metrics prediction_loss_only bf16_full_eval fp16_full_eval""",
    _PROCESS: "local_rank use_cpu no_cuda log_on_each_node disable_tqdm do_train do_eval do_predict",
    _HUB: """push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision project run_name
        trackio_space_id trackio_bucket_id trackio_static_space_id""",
    _LOSS: """average_tokens_across_devices logging_nan_inf_filter logging_first_step label_smoothing_factor
        include_num_input_tokens_seen""",
    _ROWS: "remove_unused_columns label_names use_cache",
    _MEMORY: "gradient_checkpointing_kwargs activation_checkpointing_kwargs",
}
_OWNED = {name: why for why, names in _OWNED_BY_REASON.items() for name in names.split()}


def extra_args_problems(names: Iterable[str]) -> list[Problem]:
    """The names that have a field of their own in the job, or that the trainer owns. Needs no transformers."""
    problems = []
    for name in names:
        snake = snake_case(name)
        path = f"{_AT}.{name}"
        if snake in _FIELDS:
            problems.append(Problem(path, "has a field of its own.", f"Set {_FIELDS[snake]} instead."))
        elif snake in _OWNED:
            problems.append(Problem(path, f"cannot be set: {_OWNED[snake]}", "Remove it."))
    return problems


def unknown_extra_args(names: Iterable[str], known: Collection[str]) -> list[Problem]:
    """The names that TrainingArguments does not have.

    Args:
        known: names of the fields of transformers.TrainingArguments.
    """
    problems = []
    for name in names:
        snake = snake_case(name)
        if name in known or snake in _FIELDS or snake in _OWNED:
            continue
        near = snake if snake in known else nearest(name, set(known) - _FIELDS.keys() - _OWNED.keys())
        hint = f"Did you mean {near}?" if near else "Its names are listed in the documentation of transformers.TrainingArguments."
        problems.append(Problem(f"{_AT}.{name}", "is no field of transformers.TrainingArguments.", hint))
    return problems


def training_argument_names() -> frozenset[str] | None:
    """Names of the fields of the installed TrainingArguments, or None without transformers.

    Read from the source text: importing the class takes seconds, because it imports torch.
    """
    found = importlib.util.find_spec("transformers")
    if found is None or found.origin is None:
        return None
    tree = ast.parse((Path(found.origin).parent / "training_args.py").read_text())
    (arguments,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments")
    return frozenset(
        node.target.id for node in arguments.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    )
