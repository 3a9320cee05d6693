"""Fully sharded data parallel: weights, gradients and optimizer state are split over the ranks, by one of torch's two versions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from finetune_trainer.errors import UserError
from finetune_trainer.strategies.base import Strategy
from finetune_trainer.upstream import accelerate_fsdp_on_cpu


class Fsdp(Strategy):
    """What both versions share; `config` has the keys of transformers' fsdp_config."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self.name = name
        self._config = copy.deepcopy(dict(config))

    def check_platform(self, cuda: bool) -> None:
        """torch offloads from a GPU only ("Cannot access accelerator device when none is available")."""
        if self._config.get("cpu_offload") and not cuda:
            preset = self.name.removesuffix("-offload")
            raise UserError(
                "NoGpu",
                f"spec.distributed.fsdp: {self.name} moves weights out of a GPU's memory, and this node shows no GPU.",
                f"Use {preset} here." if preset != self.name else "Set fsdp_offload_params: false here.",
            )

    def before_model(self) -> None:
        """Where there is no GPU, accelerate has to be told that FSDP was asked for."""
        accelerate_fsdp_on_cpu.apply()

    def arguments(self) -> dict[str, Any]:
        """Gradients are reduced after each micro-batch: kept until the last one, they would be whole on every rank."""
        return {
            "fsdp": True,
            "fsdp_config": self._config,
            "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
        }
