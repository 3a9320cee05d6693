"""DeepSpeed's own configuration (ds_config.json), as far as it may be brought along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finetune_api.problems import nearest
from finetune_api.spec import FineTuneJobSpec

AUTO = "auto"
#: Key, what is wrong, what to write instead.
Found = tuple[str, str, str]

_KNOWN = (
    "train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping", "zero_optimization",
    "bf16", "fp16", "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer", "prescale_gradients", "sparse_gradients",
    "gradient_predivide_factor", "communication_data_type", "data_types", "steps_per_print", "wall_clock_breakdown",
    "memory_breakdown", "dump_state", "comms_logger", "flops_profiler",
)  # fmt: skip
#: Settings that the job has in another place.
_ELSEWHERE = {
    "optimizer": "Set spec.training.optim, learningRate and weightDecay.",
    "scheduler": "Set spec.training.lrSchedulerType and warmupRatio.",
    "activation_checkpointing": "Set spec.training.gradientCheckpointing.",
    "checkpoint": "Checkpoints are the trainer's own and fit any number of processes.",
}
#: Partitions over some of the ranks only.
_GROUPS = {"zero_hpz_partition_size": 1, "mics_shard_size": -1}


def problems(config: Mapping[str, Any], spec: FineTuneJobSpec) -> Iterator[Found]:
    """What is wrong with `config` in itself, or beside the rest of the job."""
    for key in config:
        if key in _ELSEWHERE:
            yield key, "belongs to the job, not to DeepSpeed's configuration.", _ELSEWHERE[key]
        elif key not in _KNOWN:
            near = nearest(key, _KNOWN)
            yield key, "is not supported here.", f"Did you mean {near}?" if near else f"Known: {', '.join(_KNOWN)}."
    yield from _contradictions(config, spec)
    zero = config.get("zero_optimization")
    if not isinstance(zero, Mapping) or zero.get("stage") not in (0, 1, 2, 3):
        yield "zero_optimization", "says no stage.", "Write zero_optimization: {stage: 0}, 1, 2 or 3."
        return
    yield from _zero(zero, zero["stage"])
    if config.get("zero_force_ds_cpu_optimizer"):
        yield (
            "zero_force_ds_cpu_optimizer",
            "asks for DeepSpeed's CPU optimizer, which would be compiled in each pod.",
            "Remove it: torch's AdamW does the same work.",
        )


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with what follows from the job, where it says nothing."""
    derived: dict[str, Any] = dict.fromkeys(
        ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"), AUTO
    )
    sections = {name: {"enabled": AUTO, **(config.get(name) or {})} for name in ("bf16", "fp16")}
    # torch's optimizers, whatever spec.training.optim names, and without DeepSpeed's own, which is compiled first.
    ours = {"zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False}
    return {**derived, **ours, **config, **sections}


def _contradictions(config: Mapping[str, Any], spec: FineTuneJobSpec) -> Iterator[Found]:
    training, distributed = spec.training, spec.distributed
    own = {
        "train_micro_batch_size_per_gpu": ("spec.training.perDeviceTrainBatchSize", training.per_device_train_batch_size),
        "gradient_accumulation_steps": ("spec.training.gradientAccumulationSteps", training.gradient_accumulation_steps),
        "gradient_clipping": ("spec.training.maxGradNorm", training.max_grad_norm),
    }
    for key, (field, value) in own.items():
        if config.get(key, AUTO) not in (AUTO, value):
            yield key, f"is {config[key]}, and {field} is {value:g}.", 'Write "auto", or the same number in both places.'
    if distributed.processes_per_node is not None:
        ranks = distributed.nodes * distributed.processes_per_node
        batch = training.per_device_train_batch_size * training.gradient_accumulation_steps * ranks
        if config.get("train_batch_size", AUTO) not in (AUTO, batch):
            yield (
                "train_batch_size",
                f"is {config['train_batch_size']}, and the job has {training.per_device_train_batch_size} x "
                f"{training.gradient_accumulation_steps} x {ranks} processes = {batch}.",
                'Write "auto", or change perDeviceTrainBatchSize, gradientAccumulationSteps or the processes.',
            )
    for precision in ("bf16", "fp16"):
        enabled = (config.get(precision) or {}).get("enabled", AUTO)
        if enabled not in (AUTO, training.precision == precision):
            yield (
                f"{precision}.enabled",
                f"is {str(enabled).lower()}, and spec.training.precision is {training.precision}.",
                'Write "auto", or change spec.training.precision.',
            )


def _zero(zero: Mapping[str, Any], stage: int) -> Iterator[Found]:
    for key, least in (("offload_optimizer", 1), ("offload_param", 3)):
        offload = zero.get(key)
        if offload is None:
            continue
        at = f"zero_optimization.{key}"
        device = offload.get("device", "none") if isinstance(offload, Mapping) else offload
        if device not in ("none", "cpu"):
            yield f"{at}.device", f"is {device}, which is not supported.", "Write cpu or none."
        elif device == "cpu" and stage < least:
            yield at, f"stage {stage} cannot offload this.", f"Write stage: {least}, or remove it."
    for key, off in _GROUPS.items():
        if zero.get(key, off) != off:
            yield f"zero_optimization.{key}", "splits over some of the processes only, which is not supported.", "Remove it."
