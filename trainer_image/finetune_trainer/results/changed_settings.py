"""Which settings may change between two runs in the same output folder: those that do not decide what is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune_api.spec import FineTuneJob

#: Path in the YAML (and all below it) -> why a run may go on with another value.
FREE_TO_CHANGE: Mapping[str, str] = {
    "spec.runPolicy": "decides when to give up",
    "spec.training.loggingSteps": "decides how often progress is told",
    "spec.training.saveSteps": "decides how much work a crash costs",
    "spec.training.saveTotalLimit": "decides how many checkpoints are kept",
    "spec.training.reportTo": "decides who else is told",
    "spec.distributed.launcher": "decides who starts the processes",
    "spec.distributed.masterPort": "is where the processes meet",
    "spec.distributed.rendezvousTimeoutSeconds": "is how long they wait for each other",
    "spec.distributed.nodes": "checkpoints fit any number of processes",
    "spec.distributed.processesPerNode": "checkpoints fit any number of processes",
    "spec.distributed.strategy": "checkpoints fit every strategy",
    "spec.distributed.deepspeed": "checkpoints fit every strategy",
    "spec.distributed.fsdp": "checkpoints fit every strategy",
    "spec.training.perDeviceTrainBatchSize": "is compared as part of the global batch",
    "spec.training.gradientAccumulationSteps": "is compared as part of the global batch",
    "spec.trainer": "is where and how closely it runs",
    "spec.resources": "is what each node gets",
    "spec.podTemplate": "is where pods run",
    "spec.model.tokenSecretRef": "is who may download the model",
    "spec.output": "decides what is written besides the training",
}
_GLOBAL_BATCH = "global batch (nodes x processesPerNode x perDeviceTrainBatchSize x gradientAccumulationSteps)"


def changed_settings(old: FineTuneJob, new: FineTuneJob) -> list[str]:
    """Settings that decide the result and differ, as lines `path: old -> new`. Both jobs are resolved."""
    before, after = (flat(job.to_manifest()["spec"], "spec") for job in (old, new))
    for settings, job in ((before, old), (after, new)):
        settings[_GLOBAL_BATCH] = _global_batch(job)
    paths = [path for path in before | after if not _free(path) and before.get(path) != after.get(path)]
    return [f"{path}: {before.get(path, 'not set')} -> {after.get(path, 'not set')}" for path in paths]


def _global_batch(job: FineTuneJob) -> int:
    distributed, training = job.spec.distributed, job.spec.training
    ranks = distributed.nodes * (distributed.processes_per_node or 1)
    return ranks * training.per_device_train_batch_size * training.gradient_accumulation_steps


def _free(path: str) -> bool:
    return any(path == free or path.startswith((f"{free}.", f"{free}[")) for free in FREE_TO_CHANGE)


def flat(value: Any, path: str) -> dict[str, Any]:
    """Nested data as {path of a leaf: leaf}; `path` is that of the whole."""
    if isinstance(value, dict) and value:
        items = [(f"{path}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return {path: value}
    return {key: leaf for name, item in items for key, leaf in flat(item, name).items()}
