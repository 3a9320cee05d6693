"""Packing: which samples share a row. Best-fit decreasing: deterministic, and close to the fewest rows possible."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Put every sample into exactly one row.

    Args:
        lengths: tokens of each sample, each at most `capacity`.
        capacity: most tokens in a row.

    Returns:
        The rows, each a list of sample indices in ascending order; the rows in the order of their first sample.

    Raises:
        ValueError: a sample is longer than `capacity`.
    """
    rows: list[list[int]] = []
    spaces: list[int] = []  # the distinct numbers of free tokens, ascending
    rows_with: dict[int, list[int]] = {}  # free tokens -> rows that have them
    for sample in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        length = lengths[sample]
        if length > capacity:
            raise ValueError(f"sample {sample} has {length} tokens, more than a row of {capacity}")
        at = bisect_left(spaces, length)
        if at == len(spaces):
            row, space = len(rows), capacity
            rows.append([])
        else:
            space = spaces[at]
            row = rows_with[space].pop()
            if not rows_with[space]:
                del rows_with[space], spaces[at]
        rows[row].append(sample)
        free = space - length
        if free not in rows_with:
            rows_with[free] = []
            insort(spaces, free)
        rows_with[free].append(row)
    return sorted(sorted(row) for row in rows)
