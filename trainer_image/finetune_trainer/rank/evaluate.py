"""Evaluation loss: the mean over all supervised tokens of the evaluation rows, the same on any number of ranks.

transformers' own evaluation averages the means of batches and repeats rows to fill the last ones; both depend on batch size and
number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finetune_trainer.data.reader import NO_LOSS, Rows
from finetune_trainer.rank.batches import FILLER, BatchPlan
from finetune_trainer.rank.collate import EMPTY_ROW, collate
from finetune_trainer.rank.group import Ranks


def evaluation_loss(
    model: Any, rows: Rows, *, packed: bool, batch_size: int, ranks: Ranks, device: Any, alive: Callable[[], None]
) -> float:
    """Mean loss in nats per supervised token. All ranks call it; `alive` is called after each batch."""
    import torch

    plan = BatchPlan(rows=len(rows), micro_batch=batch_size, accumulation=1, world_size=ranks.world_size, seed=None)
    was_training = model.training
    model.eval()
    loss_sum, tokens = 0.0, 0
    with torch.no_grad():
        for numbers in plan.micro_batches(0, ranks.rank):
            batch = collate([EMPTY_ROW if n == FILLER else rows[n] for n in numbers], packed)
            del batch["samples"], batch["tokens"]
            tokens += int((batch["labels"][:, 1:] != NO_LOSS).sum())
            one = torch.ones((), device=device)  # Makes the model's loss a sum over tokens.
            outputs = model(**{name: tensor.to(device) for name, tensor in batch.items()}, num_items_in_batch=one)
            loss_sum += float(outputs.loss)
            alive()
    model.train(was_training)
    total_loss, total_tokens = ranks.sum_floats([loss_sum, float(tokens)])
    return total_loss / total_tokens
