"""Batches: padding, positions, and no sample of a packed row that sees its neighbours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import tiny
from finetune_trainer.data.reader import NO_LOSS, Row
from finetune_trainer.rank.collate import EMPTY_ROW, collate

LENGTHS = (20, 33, 17)


def packed_row(seed: int, changed: int | None = None, lengths: tuple[int, ...] = LENGTHS) -> Row:
    """Random samples in one row; sample `changed` has other tokens than without it."""
    parts = []
    for number, length in enumerate(lengths):
        generator = np.random.default_rng([seed, number, number == changed])
        parts.append(generator.integers(3, 500, length).astype(np.int32))
    ids = np.concatenate(parts)
    labels = ids.copy()
    labels[np.cumsum([0, *lengths[:-1]])] = NO_LOSS
    return Row(ids, labels, lengths, tuple(range(len(lengths))))


def token_losses(model: Any, rows: list[Row]) -> torch.Tensor:
    """Loss of each label of the first row, [L - 1]."""
    batch = collate(rows, packed=True)
    del batch["samples"], batch["tokens"]
    labels = batch.pop("labels")[0, 1:]
    with torch.no_grad():
        logits = model(**batch, use_cache=False).logits[0, :-1].float()
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none", ignore_index=NO_LOSS)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("neighbour", [None, (45, 40)])
def test_a_changed_sample_changes_no_other_samples_loss(
    family: str, attention: str, neighbour: tuple[int, ...] | None, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        tiny.make_model(tmp_path, family), dtype=torch.float32, attn_implementation=attention
    )
    others = [packed_row(1, lengths=neighbour)] if neighbour else []
    before = token_losses(model, [packed_row(0), *others])
    bounds = np.cumsum([0, *LENGTHS])
    for changed in range(len(LENGTHS)):
        moved = (token_losses(model, [packed_row(0, changed), *others]) - before).abs()
        for sample in range(len(LENGTHS)):
            largest = float(moved[bounds[sample] : bounds[sample + 1] - 1].max())
            if sample == changed:
                assert largest > 1e-2
            else:
                assert largest <= 1e-6, f"sample {sample} saw the change of sample {changed}"


def test_packed_and_alone_have_the_same_loss(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny.make_model(tmp_path), dtype=torch.float32)
    row, start = packed_row(0), 0
    packed = token_losses(model, [row])
    for length in LENGTHS:
        span = slice(start, start + length)
        labels = row.labels[span].copy()
        alone = token_losses(model, [Row(row.input_ids[span], labels, (length,), (0,))])
        assert torch.allclose(packed[start : start + length - 1], alone, atol=1e-6)
        start += length


def test_padding_carries_no_loss_and_is_not_seen() -> None:
    short = Row(np.array([5, 6], np.int32), np.array([NO_LOSS, 6], np.int32), (2,), (7,))
    long = Row(np.array([8, 9, 10], np.int32), np.array([NO_LOSS, 9, 10], np.int32), (3,), (8,))
    batch = collate([short, long, EMPTY_ROW], packed=False)
    assert batch["labels"].tolist() == [[NO_LOSS, 6, NO_LOSS], [NO_LOSS, 9, 10], [NO_LOSS] * 3]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 0]]
    assert (batch["samples"], batch["tokens"]) == ([7, 8], 5)


def test_positions_restart_at_each_sample_and_in_the_padding() -> None:
    batch = collate([packed_row(0, lengths=(3, 2)), packed_row(0, lengths=(7,))], packed=True)
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5, 6]]
    assert "attention_mask" not in batch
