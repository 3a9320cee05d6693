"""How the library that shares the work is configured: a preset of ours, one for each name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finetune_api.part import Part

DeepSpeedPreset = Literal["zero0", "zero1", "zero2", "zero2-offload", "zero3", "zero3-offload"]
FsdpPreset = Literal["fsdp2", "fsdp2-offload", "fsdp1", "fsdp1-offload"]


class DeepSpeed(Part):
    """Settings of strategy deepspeed."""

    preset: DeepSpeedPreset | None = Field(
        None,
        description="What is split over the processes: zero0 nothing, zero1 optimizer state, zero2 gradients too, zero3 weights "
        "too. -offload: optimizer state (zero3: weights too) in the node's main memory.",
    )


class Fsdp(Part):
    """Settings of strategy fsdp."""

    preset: FsdpPreset | None = Field(
        None,
        description="fsdp2: weights, gradients and optimizer state are split over the processes; fsdp1: the older implementation. "
        "-offload: all of it in the node's main memory (needs a GPU).",
    )
