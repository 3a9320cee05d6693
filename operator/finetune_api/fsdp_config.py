"""A configuration of FSDP in accelerate's words: a whole file (fsdp_config.yaml) or the part `fsdp_config` of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finetune_api.problems import nearest
from finetune_api.spec import FineTuneJobSpec

#: Key, what is wrong, what to write instead.
Found = tuple[str, str, str]

_SECTION = "fsdp_config"
#: Of a whole file; what else it says follows from the job, or has no meaning without `accelerate launch`.
_FILE = (
    _SECTION, "compute_environment", "debug", "distributed_type", "downcast_bf16", "enable_cpu_affinity", "machine_rank",
    "main_training_function", "mixed_precision", "num_machines", "num_processes", "rdzv_backend", "same_network", "tpu_env",
    "tpu_use_cluster", "tpu_use_sudo", "use_cpu", "main_process_ip", "main_process_port",
)  # fmt: skip
#: accelerate's name without fsdp_ -> transformers' name.
_NAMES = {
    "version": "version",
    "sharding_strategy": "reshard_after_forward",
    "reshard_after_forward": "reshard_after_forward",
    "auto_wrap_policy": "auto_wrap_policy",
    "transformer_layer_cls_to_wrap": "transformer_layer_cls_to_wrap",
    "min_num_params": "min_num_params",
    "backward_prefetch": "backward_prefetch",
    "forward_prefetch": "forward_prefetch",
    "offload_params": "cpu_offload",
    "cpu_offload": "cpu_offload",
    "use_orig_params": "use_orig_params",
    "sync_module_states": "sync_module_states",
    "cpu_ram_efficient_loading": "cpu_ram_efficient_loading",
    "state_dict_type": "state_dict_type",
    "activation_checkpointing": "activation_checkpointing",
}
_MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_SHARDED = {"FULL_SHARD": "full_shard", "SHARD_GRAD_OP": "shard_grad_op"}
_OLD_NUMBERS = {"1": "FULL_SHARD", "2": "SHARD_GRAD_OP", "3": "NO_SHARD", "4": "HYBRID_SHARD", "5": "HYBRID_SHARD_ZERO2"}


def problems(config: Mapping[str, Any], spec: FineTuneJobSpec) -> Iterator[Found]:
    """What is wrong with `config` in itself, or beside the rest of the job."""
    if _is_file(config):
        yield from _file(config, spec)
    prefix = f"{_SECTION}." if _is_file(config) else ""
    for key in _section(config):
        if _plain(key) not in _NAMES:
            near = nearest(_plain(key), _NAMES)
            hint = f"Did you mean fsdp_{near}?" if near else f"Known: {', '.join(f'fsdp_{name}' for name in _NAMES)}."
            yield f"{prefix}{key}", "is not supported here.", hint
    yield from ((f"{prefix}{key}", message, hint) for key, message, hint in _values(_section(config)))
    if spec.training.method == "qlora":
        yield from _qlora(_section(config), prefix)


def normalised(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in the names of transformers' fsdp_config; accelerate's default is version 1."""
    found = {_NAMES[_plain(key)]: value for key, value in _section(config).items()}
    found["version"] = int(found.get("version", 1))
    if found["version"] == 1:
        found["reshard_after_forward"] = _SHARDED[_sharding(found.get("reshard_after_forward", "FULL_SHARD"))]
    found.pop("state_dict_type", None)  # Checkpoints and results are written without it.
    return found


def _is_file(config: Mapping[str, Any]) -> bool:
    return _SECTION in config or "distributed_type" in config


def _section(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return (config.get(_SECTION) or {}) if _is_file(config) else config


def _plain(key: str) -> str:
    return key.removeprefix("fsdp_")


def _sharding(value: Any) -> str:
    text = str(value).upper()
    return _OLD_NUMBERS.get(text, text)


def _file(config: Mapping[str, Any], spec: FineTuneJobSpec) -> Iterator[Found]:
    distributed = spec.distributed
    for key in config:
        if key not in _FILE:
            near = nearest(key, _FILE)
            yield key, "is not supported here.", f"Did you mean {near}?" if near else f"Known: {', '.join(_FILE)}."
    if config.get("distributed_type", "FSDP") != "FSDP":
        yield "distributed_type", f"is {config['distributed_type']}, not FSDP.", "Write FSDP, or choose another strategy."
    mixed = str(config.get("mixed_precision", _MIXED[spec.training.precision]))
    if mixed.replace("False", "no") != _MIXED[spec.training.precision]:
        yield (
            "mixed_precision",
            f"is {mixed}, and spec.training.precision is {spec.training.precision}.",
            "Write the same in both places.",
        )
    numbers = {"num_machines": ("spec.distributed.nodes", distributed.nodes)}
    if distributed.processes_per_node is not None:
        ranks = distributed.nodes * distributed.processes_per_node
        numbers["num_processes"] = ("the job's number of processes (nodes x processesPerNode)", ranks)
    numbers["main_process_port"] = ("spec.distributed.masterPort", distributed.master_port)
    for key, (field, value) in numbers.items():
        if config.get(key) not in (None, value):
            yield key, f"is {config[key]}, and {field} is {value}.", "Write the same number in both places, or remove it here."
    if config.get("main_process_ip") is not None:
        yield "main_process_ip", "is set, and the job's first node has an address of its own.", "Remove it."


def _qlora(section: Mapping[str, Any], prefix: str) -> Iterator[Found]:
    values = {_plain(key): value for key, value in section.items()}
    if values.get("version", 1) == 1:
        hint = "Set fsdp_version: 2, or training.method: lora."
        yield f"{prefix}fsdp_version", "1 wants one type for all weights of a layer, which qlora has not.", hint
    elif values.get("offload_params", values.get("cpu_offload")):
        hint = "Set it to false, or training.method: lora."
        yield f"{prefix}fsdp_offload_params", "is true, and the 4-bit weights of qlora cannot leave a GPU.", hint


def _values(section: Mapping[str, Any]) -> Iterator[Found]:
    values = {_plain(key): (key, value) for key, value in section.items()}

    def given(name: str, default: Any) -> tuple[str, Any]:
        return values.get(name, (f"fsdp_{name}", default))

    key, version = given("version", 1)
    if version not in (1, 2):
        yield key, f"is {version}.", "Write 1 or 2."
        return
    key, sharding = given("sharding_strategy", values.get("reshard_after_forward", ("", "FULL_SHARD"))[1])
    if version == 1 and _sharding(sharding) not in _SHARDED:
        hint = "Use spec.distributed.strategy: ddp." if _sharding(sharding) == "NO_SHARD" else f"Write {' or '.join(_SHARDED)}."
        yield key, f"is {sharding}, which is not supported.", hint
    if version == 2 and "sharding_strategy" in values:
        yield key, "belongs to version 1.", "Write fsdp_reshard_after_forward: true or false."
    key, original = given("use_orig_params", True)
    if original is not True:
        yield key, "is false: parameters would lose their shapes, and weight decay could not leave out norms.", "Write true."
    key, checkpointing = given("activation_checkpointing", False)
    if checkpointing:
        yield key, "belongs to the job.", "Set spec.training.gradientCheckpointing, and remove it here."
