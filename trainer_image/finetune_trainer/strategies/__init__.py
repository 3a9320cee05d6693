"""How the ranks share the work: a preset per data file, a module per library, each a Strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune_api.spec import Distributed
from finetune_trainer.strategies.base import Strategy
from finetune_trainer.strategies.presets import read_preset

#: What a configuration is called that is no preset.
OWN = "own configuration"


def strategy_for(distributed: Distributed, own: Mapping[str, Any] | None = None) -> Strategy:
    """The strategy that `spec.distributed` names. Libraries are imported only when theirs is chosen.

    Args:
        own: the user's configuration (own_config.read_configuration), where there is no preset.
    """
    if distributed.deepspeed is not None:
        from finetune_trainer.strategies.deepspeed import DeepSpeed

        return DeepSpeed(*_configured(distributed.deepspeed.preset, own))
    if distributed.fsdp is not None:
        return _fsdp(*_configured(distributed.fsdp.preset, own))
    from finetune_trainer.strategies.ddp import Ddp

    return Ddp()


def _configured(preset: str | None, own: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
    return (preset, read_preset(preset)) if preset else (OWN, own or {})


def _fsdp(name: str, config: Mapping[str, Any]) -> Strategy:
    from finetune_api.fsdp_config import normalised

    settings = normalised(config)
    if settings["version"] == 1:
        from finetune_trainer.strategies.fsdp1 import Fsdp1

        return Fsdp1(name, settings)
    from finetune_trainer.strategies.fsdp2 import Fsdp2

    return Fsdp2(name, settings)
