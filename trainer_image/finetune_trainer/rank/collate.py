"""Rows -> one batch of tensors for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune_trainer.data.reader import NO_LOSS, Row

#: A row that stands for none (rank/batches.py): two tokens, no loss. Not one, since causal losses drop the first.
EMPTY_ROW = Row(np.zeros(2, np.int32), np.full(2, NO_LOSS, np.int32), (2,), ())


def collate(rows: Sequence[Row], packed: bool) -> dict[str, Any]:
    """Pad rows on the right to the longest of them.

    Returns:
        input_ids, labels: int64 [B, L]. Unpacked also attention_mask [B, L]. Packed instead position_ids [B, L], which restart at
        each sample and in the padded tail, and NO attention_mask: from these transformers builds the block mask; a mask of ones
        beside them would let samples see each other (research: losses of neighbours move by 0.2).
        samples: ids of the samples in the batch, a list of int. tokens: real tokens in the batch.
    """
    import torch

    length = max(len(row.input_ids) for row in rows)
    input_ids = np.zeros((len(rows), length), np.int64)
    labels = np.full((len(rows), length), NO_LOSS, np.int64)
    positions = np.zeros((len(rows), length), np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for i, row in enumerate(rows):
        n = len(row.input_ids)
        input_ids[i, :n], labels[i, :n], mask[i, :n] = row.input_ids, row.labels, 1
        positions[i] = np.concatenate([np.arange(k) for k in (*row.lengths, length - n)])
    batch: dict[str, Any] = {"input_ids": torch.from_numpy(input_ids), "labels": torch.from_numpy(labels)}
    if packed:
        batch["position_ids"] = torch.from_numpy(positions)
    else:
        batch["attention_mask"] = torch.from_numpy(mask)
    batch["samples"] = [sample for row in rows for sample in row.samples]
    batch["tokens"] = sum(len(row.input_ids) for row in rows if row.samples)
    return batch
