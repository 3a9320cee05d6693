"""How the ranks share the work: one module per library, each a Strategy."""

from __future__ import annotations

from finetune_api.spec import Distributed
from finetune_trainer.strategies.base import Strategy


def strategy_for(distributed: Distributed) -> Strategy:
    """The strategy that `spec.distributed` names. Libraries are imported only when theirs is chosen."""
    match distributed.strategy:
        case "ddp":
            from finetune_trainer.strategies.ddp import Ddp

            return Ddp()
