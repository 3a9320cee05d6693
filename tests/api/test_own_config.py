"""Configurations that users bring along: what is refused in which words, and that the known files are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.bad_specs import changed
from finetune_api.deepspeed_config import with_defaults
from finetune_api.fsdp_config import normalised
from finetune_api.own_config import inline_problems, problems
from finetune_api.spec import FineTuneJob, FineTuneJobSpec

GUIDE = Path(__file__).parents[1] / "data/guide"


def spec(*changes: str) -> FineTuneJobSpec:
    """Two nodes of four processes, micro-batch 1, accumulation 1, bf16."""
    return FineTuneJob.model_validate(changed(list(changes)), by_alias=True, by_name=False).spec


BAD_DEEPSPEED: list[tuple[dict[str, Any], str, str]] = [
    ({"zero_optimisation": {"stage": 2}}, "zero_optimisation", "Did you mean zero_optimization?"),
    ({"optimizer": {"type": "AdamW"}}, "optimizer", "Set spec.training.optim"),
    ({"scheduler": {"type": "WarmupLR"}}, "scheduler", "Set spec.training.lrSchedulerType"),
    ({"checkpoint": {"load_universal": True}}, "checkpoint", "fit any number of processes"),
    ({"tensor_parallel": {"autotp_size": 2}}, "tensor_parallel", "is not supported here"),
    (
        {"train_micro_batch_size_per_gpu": 4},
        "train_micro_batch_size_per_gpu",
        "is 4, and spec.training.perDeviceTrainBatchSize is 1.",
    ),
    ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps", "is 2, and spec.training.gradientAccumulationSteps is 1."),
    ({"gradient_clipping": 0.5}, "gradient_clipping", "is 0.5, and spec.training.maxGradNorm is 1."),
    ({"train_batch_size": 64}, "train_batch_size", "is 64, and the job has 1 x 1 x 8 processes = 8."),
    ({"fp16": {"enabled": True}}, "fp16.enabled", "is true, and spec.training.precision is bf16."),
    ({"bf16": {"enabled": False}}, "bf16.enabled", "is false, and spec.training.precision is bf16."),
    ({"zero_optimization": {"stage": 4}}, "zero_optimization", "Write zero_optimization: {stage: 0}"),
    (
        {"zero_optimization": {"stage": 0, "offload_optimizer": {"device": "cpu"}}},
        "zero_optimization.offload_optimizer",
        "stage: 1",
    ),
    ({"zero_optimization": {"stage": 2, "offload_param": {"device": "cpu"}}}, "zero_optimization.offload_param", "stage: 3"),
    (
        {"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}},
        "zero_optimization.offload_param.device",
        "cpu or none",
    ),
    ({"zero_optimization": {"stage": 3, "zero_hpz_partition_size": 4}}, "zero_optimization.zero_hpz_partition_size", "Remove it."),
    ({"zero_force_ds_cpu_optimizer": True}, "zero_force_ds_cpu_optimizer", "torch's AdamW"),
]
BAD_FSDP: list[tuple[dict[str, Any], str, str]] = [
    ({"fsdp_shardng_strategy": "FULL_SHARD"}, "fsdp_shardng_strategy", "Did you mean fsdp_sharding_strategy?"),
    ({"fsdp_sharding_strategy": "NO_SHARD"}, "fsdp_sharding_strategy", "Use spec.distributed.strategy: ddp."),
    ({"fsdp_sharding_strategy": "HYBRID_SHARD"}, "fsdp_sharding_strategy", "Write FULL_SHARD or SHARD_GRAD_OP."),
    ({"fsdp_version": 3}, "fsdp_version", "Write 1 or 2."),
    ({"fsdp_version": 2, "fsdp_sharding_strategy": "FULL_SHARD"}, "fsdp_sharding_strategy", "belongs to version 1"),
    ({"fsdp_use_orig_params": False}, "fsdp_use_orig_params", "Write true."),
    ({"fsdp_activation_checkpointing": True}, "fsdp_activation_checkpointing", "Set spec.training.gradientCheckpointing"),
    ({"distributed_type": "MULTI_GPU", "fsdp_config": {}}, "distributed_type", "is MULTI_GPU, not FSDP."),
    ({"mixed_precision": "fp16", "fsdp_config": {}}, "mixed_precision", "is fp16, and spec.training.precision is bf16."),
    ({"num_processes": 2, "fsdp_config": {}}, "num_processes", "is 2, and the job's number of processes"),
    ({"num_machines": 1, "fsdp_config": {}}, "num_machines", "is 1, and spec.distributed.nodes is 2."),
    ({"main_process_port": 1234, "fsdp_config": {}}, "main_process_port", "is 1234, and spec.distributed.masterPort is 29500."),
    ({"main_process_ip": "10.0.0.1", "fsdp_config": {}}, "main_process_ip", "Remove it."),
    ({"num_procs": 2, "fsdp_config": {}}, "num_procs", "Did you mean num_processes?"),
    ({"fsdp_config": {"fsdp_version": 9}}, "fsdp_config.fsdp_version", "Write 1 or 2."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "path", "says"), BAD_DEEPSPEED, ids=lambda value: str(value)[:60])
def test_bad_deepspeed_configuration(change: dict[str, Any], path: str, says: str) -> None:
    (problem,) = problems("deepspeed", {"zero_optimization": {"stage": 2}, **change}, spec(), "config")
    assert problem.path == f"config.{path}" and says in str(problem), str(problem)


@pytest.mark.parametrize(("config", "path", "says"), BAD_FSDP, ids=lambda value: str(value)[:60])
def test_bad_fsdp_configuration(config: dict[str, Any], path: str, says: str) -> None:
    (problem,) = problems("fsdp", config, spec(), "config")
    assert problem.path == f"config.{path}" and says in str(problem), str(problem)


@pytest.mark.parametrize("file", sorted(GUIDE.glob("ds_*.json")), ids=lambda file: file.stem)
def test_the_guides_deepspeed_files_are_taken_as_they_are(file: Path) -> None:
    config = json.loads(file.read_text())
    assert not list(problems("deepspeed", config, spec(), "config"))
    assert {key: value for key, value in with_defaults(config).items() if key in config} == config


def test_the_guides_fsdp_file_is_taken_as_it_is() -> None:
    config = yaml.safe_load((GUIDE / "fsdp_config.yaml").read_text())
    same = spec("spec.distributed={nodes: 1, processesPerNode: 2}", "spec.training.precision=fp16")
    assert not list(problems("fsdp", config, same, "config"))
    settings = normalised(config)
    assert (settings["version"], settings["reshard_after_forward"], settings["cpu_offload"]) == (1, "full_shard", True)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"fsdp_sharding_strategy": "FULL_SHARD"}, "fsdp_version"),
        ({"fsdp_config": {"fsdp_version": 2, "fsdp_offload_params": True}}, "fsdp_config.fsdp_offload_params"),
    ],
)
def test_what_cannot_hold_4_bit_weights(config: dict[str, Any], path: str) -> None:
    (problem,) = problems("fsdp", config, spec("spec.training.method=qlora"), "config")
    assert problem.path == f"config.{path}" and "or training.method: lora." in problem.hint
    assert not list(problems("fsdp", config, spec(), "config"))
    assert not list(problems("fsdp", {"fsdp_version": 2}, spec("spec.training.method=qlora"), "config"))


def test_what_is_left_out_follows_from_the_job() -> None:
    filled = with_defaults({"zero_optimization": {"stage": 1}, "fp16": {"hysteresis": 4}})
    assert filled["train_batch_size"] == filled["gradient_clipping"] == "auto"
    assert filled["fp16"] == {"enabled": "auto", "hysteresis": 4} and filled["bf16"] == {"enabled": "auto"}


def test_inline_configurations_are_checked_with_the_job() -> None:
    job = spec("spec.distributed={strategy: deepspeed, deepspeed: {config: {zero_optimization: {stage: 7}}}}")
    (problem,) = inline_problems(job)
    assert problem.path == "spec.distributed.deepspeed.config.zero_optimization"
