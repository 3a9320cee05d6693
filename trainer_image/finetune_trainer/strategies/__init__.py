"""How the ranks share the work: a preset per data file, a module per library, each a Strategy."""

from __future__ import annotations

from typing import Any

from finetune_api.spec import Distributed
from finetune_trainer.strategies.base import Strategy
from finetune_trainer.strategies.presets import read_preset


def strategy_for(distributed: Distributed) -> Strategy:
    """The strategy that `spec.distributed` names. Libraries are imported only when theirs is chosen."""
    if distributed.deepspeed is not None and distributed.deepspeed.preset:
        from finetune_trainer.strategies.deepspeed import DeepSpeed

        return DeepSpeed(distributed.deepspeed.preset, read_preset(distributed.deepspeed.preset))
    if distributed.fsdp is not None and distributed.fsdp.preset:
        return _fsdp(distributed.fsdp.preset, read_preset(distributed.fsdp.preset))
    from finetune_trainer.strategies.ddp import Ddp

    return Ddp()


def _fsdp(name: str, config: dict[str, Any]) -> Strategy:
    if config["version"] == 1:
        from finetune_trainer.strategies.fsdp1 import Fsdp1

        return Fsdp1(name, config)
    from finetune_trainer.strategies.fsdp2 import Fsdp2

    return Fsdp2(name, config)
