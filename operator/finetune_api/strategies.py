"""How the library that shares the work is configured: a preset of ours, or a configuration in the library's own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, StringConstraints

from finetune_api.part import Key, ObjectName, Part

DeepSpeedPreset = Literal["zero0", "zero1", "zero2", "zero2-offload", "zero3", "zero3-offload"]
FsdpPreset = Literal["fsdp2", "fsdp2-offload", "fsdp1", "fsdp1-offload"]
#: Taken as it is; finetune_api.own_config says what may be in it.
OwnConfig = Annotated[dict[Annotated[str, StringConstraints(max_length=128)], Any], Field(max_length=64)]


class ConfigMapKey(Part):
    """One key of a ConfigMap in the job's namespace."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: Key = Field(description="Key in it: a file in YAML or JSON.")


class DeepSpeed(Part):
    """Settings of strategy deepspeed: one of preset, config and configMapRef."""

    preset: DeepSpeedPreset | None = Field(
        None,
        description="What is split over the processes: zero0 nothing, zero1 optimizer state, zero2 gradients too, zero3 weights "
        "too. -offload: optimizer state (zero3: weights too) in the node's main memory.",
    )
    config: OwnConfig | None = Field(
        None,
        description='DeepSpeed\'s own configuration (ds_config.json); "auto" and what is left out follow from the job.',
        examples=[{"zero_optimization": {"stage": 2}}],
    )
    config_map_ref: ConfigMapKey | None = Field(
        None, description="The same in a ConfigMap; a local run finds it with --mount configmap/NAME=DIR."
    )


class Fsdp(Part):
    """Settings of strategy fsdp: one of preset, config and configMapRef."""

    preset: FsdpPreset | None = Field(
        None,
        description="fsdp2: weights, gradients and optimizer state are split over the processes; fsdp1: the older implementation. "
        "-offload: all of it in the node's main memory (needs a GPU).",
    )
    config: OwnConfig | None = Field(
        None,
        description="A configuration of accelerate's: the whole file (fsdp_config.yaml) or its part fsdp_config.",
        examples=[{"fsdp_version": 2, "fsdp_reshard_after_forward": True}],
    )
    config_map_ref: ConfigMapKey | None = Field(
        None, description="The same in a ConfigMap; a local run finds it with --mount configmap/NAME=DIR."
    )


class _Distributed(Protocol):
    """spec.Distributed, as far as it is needed here."""

    @property
    def deepspeed(self) -> DeepSpeed | None: ...

    @property
    def fsdp(self) -> Fsdp | None: ...


def configuration_uris(distributed: _Distributed) -> Iterator[tuple[str, str]]:
    """The library and the URI (configmap://NAME/KEY) of each configuration that is in a ConfigMap."""
    for name, settings in (("deepspeed", distributed.deepspeed), ("fsdp", distributed.fsdp)):
        if settings is not None and settings.config_map_ref is not None:
            yield name, f"configmap://{settings.config_map_ref.name}/{settings.config_map_ref.key}"
