"""Packing: every sample once, no row too long, always the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.data.pack import pack

LENGTHS = st.lists(st.integers(1, 50), max_size=60)


@given(lengths=LENGTHS, capacity=st.integers(50, 120))
def test_every_sample_is_in_one_row_and_no_row_is_too_long(lengths: list[int], capacity: int) -> None:
    rows = pack(lengths, capacity)
    assert sorted(sample for row in rows for sample in row) == list(range(len(lengths)))
    assert all(row and sum(lengths[sample] for sample in row) <= capacity for row in rows)
    assert rows == sorted(map(sorted, rows))
    assert rows == pack(lengths, capacity)


@given(lengths=LENGTHS)
def test_at_most_one_row_is_less_than_half_full(lengths: list[int]) -> None:
    fills = [sum(lengths[sample] for sample in row) for row in pack(lengths, 50)]
    assert sum(fill * 2 <= 50 for fill in fills) <= 1


def test_the_fullest_row_that_has_room_is_taken() -> None:
    assert pack([6, 4, 3, 7, 1], 10) == [[0, 1], [2, 3], [4]]
    assert pack([5, 8, 2, 4], 10) == [[0, 3], [1, 2]]
    assert pack([], 10) == []


def test_a_sample_longer_than_a_row_is_an_error() -> None:
    with pytest.raises(ValueError, match="sample 1 has 11 tokens"):
        pack([1, 11], 10)
