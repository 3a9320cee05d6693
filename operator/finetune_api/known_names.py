"""Which field was meant by a key that the API does not know."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic.alias_generators import to_camel

from finetune_api.json_schema import all_fields, children, node_at
from finetune_api.problems import dotted, nearest, snake_case

#: Names that people bring along from transformers, LLaMA-Factory, axolotl and other operators -> the field here.
FOREIGN = {
    "model_name_or_path": "spec.model.source",
    "base_model": "spec.model.source",
    "model_name": "spec.model.source",
    "torch_dtype": "spec.model.dtype",
    "flash_attn": "spec.model.attention",
    "attn_implementation": "spec.model.attention",
    "dataset_path": "spec.dataset.sources[].uri",
    "data_path": "spec.dataset.sources[].uri",
    "path": "spec.dataset.sources[].uri",
    "file_name": "spec.dataset.sources[].uri",
    "formatting": "spec.dataset.sources[].format",
    "type": "spec.dataset.sources[].format",
    "data": "spec.dataset",
    "datasets": "spec.dataset.sources",
    "eval_dataset": "spec.dataset.evalSources",
    "val_size": "spec.dataset.evalFraction",
    "val_set_size": "spec.dataset.evalFraction",
    "cutoff_len": "spec.dataset.maxLength",
    "sequence_len": "spec.dataset.maxLength",
    "max_seq_length": "spec.dataset.maxLength",
    "sample_packing": "spec.dataset.packing",
    "template": "spec.dataset.chatTemplate",
    "train_on_prompt": "spec.dataset.lossOn",
    "train_on_inputs": "spec.dataset.lossOn",
    "finetuning_type": "spec.training.method",
    "adapter": "spec.training.method",
    "lora_rank": "spec.training.lora.rank",
    "lora_r": "spec.training.lora.rank",
    "r": "spec.training.lora.rank",
    "lora_alpha": "spec.training.lora.alpha",
    "lora_dropout": "spec.training.lora.dropout",
    "lora_target": "spec.training.lora.targetModules",
    "lora_target_modules": "spec.training.lora.targetModules",
    "epochs": "spec.training.numTrainEpochs",
    "num_epochs": "spec.training.numTrainEpochs",
    "steps": "spec.training.maxSteps",
    "lr": "spec.training.learningRate",
    "batch_size": "spec.training.perDeviceTrainBatchSize",
    "micro_batch_size": "spec.training.perDeviceTrainBatchSize",
    "train_batch_size": "spec.training.perDeviceTrainBatchSize",
    "per_device_batch_size": "spec.training.perDeviceTrainBatchSize",
    "eval_batch_size": "spec.training.perDeviceEvalBatchSize",
    "gradient_accumulation": "spec.training.gradientAccumulationSteps",
    "grad_clip": "spec.training.maxGradNorm",
    "optimizer": "spec.training.optim",
    "lr_scheduler": "spec.training.lrSchedulerType",
    "scheduler": "spec.training.lrSchedulerType",
    "warmup_steps": "spec.training.warmupRatio",
    "bf16": "spec.training.precision",
    "fp16": "spec.training.precision",
    "mixed_precision": "spec.training.precision",
    "activation_checkpointing": "spec.training.gradientCheckpointing",
    "data_seed": "spec.training.seed",
    "num_nodes": "spec.distributed.nodes",
    "nnodes": "spec.distributed.nodes",
    "replicas": "spec.distributed.nodes",
    "nproc_per_node": "spec.distributed.processesPerNode",
    "num_proc_per_node": "spec.distributed.processesPerNode",
    "gpus_per_node": "spec.distributed.processesPerNode",
    "ddp_backend": "spec.distributed.backend",
    "ddp_timeout": "spec.distributed.rendezvousTimeoutSeconds",
    "num_workers": "spec.distributed.nodes",
    "num_proc": "spec.distributed.processesPerNode",
    "hf_token": "spec.model.tokenSecretRef",
    "hub_token": "spec.model.tokenSecretRef",
    "token": "spec.model.tokenSecretRef",
    "output_dir": "spec.output.path",
    "save_path": "spec.output.path",
    "pvc": "spec.output.volume",
    "storage": "spec.output.volume",
    "env_vars": "spec.trainer.env",
    "args": "spec.trainer.command",
    "entrypoint": "spec.trainer.command",
    "backoff_limit": "spec.runPolicy.maxRestarts",
    "max_retries": "spec.runPolicy.maxRestarts",
    "restart_limit": "spec.runPolicy.maxRestarts",
    "timeout": "spec.runPolicy.activeDeadlineSeconds",
    "ttl": "spec.runPolicy.ttlSecondsAfterFinished",
    "paused": "spec.runPolicy.suspend",
    "grace_period_seconds": "spec.runPolicy.gracefulStopSeconds",
    "termination_grace_period_seconds": "spec.runPolicy.gracefulStopSeconds",
    "resources_per_node": "spec.resources",
    "gpu": "spec.resources.limits",
    "gpus": "spec.resources.limits",
    "cpu": "spec.resources.limits",
    "memory": "spec.resources.limits",
    "shm_size": "spec.resources.sharedMemory",
    "shm": "spec.resources.sharedMemory",
    "priority_class": "spec.podTemplate.spec.priorityClassName",
    "run_as_user": "spec.podTemplate.spec.securityContext.runAsUser",
}
_SEVERAL = 3


def _pattern(keys: Sequence[str | int]) -> str:
    return dotted(["[]" if isinstance(key, int) else key for key in keys]).replace(".[]", "[]")


def meant(parent: Sequence[str | int], key: str) -> list[str]:
    """The fields that may have been meant by the unknown `key` under `parent`, as in spec.dataset.sources[].uri; best guess only.

    Several answers: the name exists in several other places.
    """
    node = node_at(parent)
    here, siblings = _pattern(parent), children(node) if node else {}
    snake = snake_case(key)
    camel = to_camel(snake)
    if camel in siblings:
        return [f"{here}.{camel}"]
    if snake in FOREIGN:
        return [FOREIGN[snake]]
    fields = all_fields()
    elsewhere = [path for path in fields if path.rpartition(".")[2] == camel]
    if elsewhere:
        return elsewhere
    if near := nearest(camel, siblings):
        return [f"{here}.{near}" if here else near]
    names = {path.rpartition(".")[2] for path in fields}
    far = nearest(camel, names, cutoff=0.9)
    return [path for path in fields if path.rpartition(".")[2] == far]


def unknown_key_hint(parent: Sequence[str | int], key: str) -> str:
    """What to write instead of the unknown `key` under `parent`."""
    guesses = meant(parent, key)
    here = _pattern(parent)
    if len(guesses) == 1 and guesses[0].rpartition(".")[0] == here:
        name = guesses[0].rpartition(".")[2]
        return f"Write {name}." if to_camel(snake_case(key)) == name else f"Did you mean {name}?"
    if len(guesses) == 1:
        place, _, name = guesses[0].rpartition(".")
        return f"It belongs under {place}." if name == key else f"That is {guesses[0]} here."
    if guesses and len(guesses) <= _SEVERAL:
        return f"It belongs elsewhere: {' or '.join(guesses)}."
    if here == "spec.training" and "_" in key:
        return f"If transformers.TrainingArguments has it, write it as spec.training.extraArgs.{key}."
    node = node_at(parent)
    return f"Known here: {', '.join(children(node))}." if node and children(node) else "Remove it."
