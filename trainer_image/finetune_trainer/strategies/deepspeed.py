"""DeepSpeed ZeRO: optimizer state (1), gradients (2) and weights (3) are split over the ranks; stage 0 splits nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from finetune_api.deepspeed_config import with_defaults
from finetune_trainer.checkpoint.pieces import Piece, SavedPieces
from finetune_trainer.errors import UserError
from finetune_trainer.strategies import zero, zero3
from finetune_trainer.strategies.base import Strategy, not_in_force
from finetune_trainer.strategies.whole import buffer_pieces, load_buffers, load_whole, trained_parameters, whole_pieces
from finetune_trainer.upstream import deepspeed_dummy_step, deepspeed_shm, renamed_collectives


class DeepSpeed(Strategy):
    """One of DeepSpeed's ZeRO stages, by its configuration ("auto" where a value follows from the job)."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self.name = name
        self._config = copy.deepcopy(with_defaults(config))
        zero_config = self._config["zero_optimization"]
        self._stage = int(zero_config["stage"])
        self._offload_optimizer = _to_cpu(zero_config.get("offload_optimizer"))
        self._offload_weights = _to_cpu(zero_config.get("offload_param"))

    def check_platform(self, cuda: bool) -> None:
        """It runs wherever it is installed; without a GPU, offloading has nothing to move."""
        if find_spec("deepspeed") is None:
            raise UserError(
                "PackageMissing",
                "spec.distributed.strategy: deepspeed needs the package deepspeed, which is not installed here.",
                "DS_BUILD_OPS=0 pip install 'finetune-operator[deepspeed]'.",
            )

    def before_model(self) -> None:
        """DeepSpeed has to know the ranks before a model is loaded: stage 3 splits weights while they are read."""
        deepspeed_shm.skip()
        renamed_collectives.silence()
        import deepspeed

        deepspeed.init_distributed()

    def arguments(self) -> dict[str, Any]:
        """transformers fills in what is "auto"."""
        return {"deepspeed": self._config}

    def before_wrapping(self, trainer: Any) -> None:
        """Stage 3 gathers a mixture-of-experts layer as a whole: which experts a rank uses depends on its rows."""
        blocks = {type(module) for module in trainer.model.modules() if hasattr(module, "experts")}
        if self._stage == 3 and blocks:
            from deepspeed.utils import set_z3_leaf_modules

            set_z3_leaf_modules(trainer.model, sorted(blocks, key=lambda block: block.__name__))

    def wrapped(self, trainer: Any) -> None:
        """Without ZeRO, DeepSpeed has made a step already."""
        engine = trainer.model_wrapped
        if self._stage == 0 and _masters(engine.optimizer):
            deepspeed_dummy_step.forget(engine.basic_optimizer)

    def check_in_force(self, trainer: Any, world_size: int) -> None:
        """DeepSpeed's engine, its stage, the ranks it spans, what is really split, and where it is kept."""
        from deepspeed import DeepSpeedEngine

        engine = trainer.model_wrapped
        if not isinstance(engine, DeepSpeedEngine):
            raise not_in_force(self.name, f"the model is wrapped in {type(engine).__name__}")
        if engine.zero_optimization_stage() != self._stage:
            raise not_in_force(self.name, f"ZeRO stage {engine.zero_optimization_stage()} is in force")
        if engine.dp_world_size != world_size:
            raise not_in_force(self.name, f"it spans {engine.dp_world_size} of {world_size} ranks")
        trained = sum(_numel(parameter) for parameter in trained_parameters(engine.module).values())
        if self._stage in (1, 2):
            zero.check(self.name, engine.optimizer, self._stage, trained, world_size, self._offload_optimizer)
        elif self._stage == 3:
            zero3.check(self.name, engine, trained, world_size, self._offload_optimizer, self._offload_weights)

    def before_result(self) -> None:
        """With stage 3 still in force, transformers would split the next model that is loaded, and wait for the other ranks."""
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        unset_hf_deepspeed_config()

    def pieces(self, trainer: Any) -> Iterator[Piece]:
        """This rank's partition; what nobody splits is written by rank 0."""
        engine = trainer.model_wrapped
        if self._stage == 0:
            if trainer.args.should_save:
                yield from whole_pieces(engine.module, engine.basic_optimizer, _masters(engine.optimizer))
            return
        yield from (zero3 if self._stage == 3 else zero).pieces(engine.module, engine.optimizer)
        if trainer.args.should_save:
            yield from buffer_pieces(engine.module)

    def load(self, trainer: Any, saved: SavedPieces) -> None:
        """This rank's partition, and the weights that the forward pass uses, which DeepSpeed keeps beside it."""
        import torch

        engine = trainer.model_wrapped
        if self._stage == 0:
            load_whole(engine.module, engine.basic_optimizer, saved, _masters(engine.optimizer))
            return
        with torch.no_grad():
            (zero3 if self._stage == 3 else zero).load(engine.module, engine.optimizer, saved)
            load_buffers(engine.module, saved)


def _masters(optimizer: Any) -> dict[int, Any]:
    """id of a parameter -> its float32 copy: DeepSpeed's optimizer for bf16 without ZeRO has one of each."""
    if not hasattr(optimizer, "fp32_groups"):  # Full precision: torch's own optimizer.
        return {}
    pairs = zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
    return {id(low): high for lows, highs in pairs for low, high in zip(lows, highs, strict=True)}


def _to_cpu(offload: Mapping[str, Any] | None) -> bool:
    return offload is not None and bool(offload.get("device") == "cpu")


def _numel(parameter: Any) -> int:
    return int(getattr(parameter, "ds_numel", parameter.numel()))
