"""Which rows a rank trains on, in which order: a pure function of (rows, batch sizes, world size, seed, epoch).

Every row is used exactly once an epoch. Stock accelerate fills the last batch of an epoch with rows from its beginning, which are
then trained on twice; here it is filled with FILLER, rows without loss. The global batch of a step is the same set of rows however
it is split over ranks and accumulation, so the loss does not depend on how many ranks there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

#: Stands for no row: a batch place that carries no loss.
FILLER = -1


@dataclass(frozen=True)
class BatchPlan:
    """The shape of an epoch.

    Attributes:
        rows: number of rows.
        micro_batch: rows per rank and forward pass.
        accumulation: micro-batches per optimizer step.
        world_size: ranks.
        seed: of the order; None keeps the rows in their own order (evaluation).
    """

    rows: int
    micro_batch: int
    accumulation: int
    world_size: int
    seed: int | None

    @property
    def global_batch(self) -> int:
        """Rows per optimizer step over all ranks."""
        return self.micro_batch * self.accumulation * self.world_size

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the rows."""
        return math.ceil(self.rows / self.global_batch)

    def micro_batches(self, epoch: int, rank: int) -> Iterator[list[int]]:
        """This rank's micro-batches of an epoch: lists of `micro_batch` row numbers, FILLER where the rows ran out."""
        order = np.full(self.steps_per_epoch * self.global_batch, FILLER, dtype=np.int64)
        if self.seed is None:
            order[: self.rows] = np.arange(self.rows)
        else:
            order[: self.rows] = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
        blocks = order.reshape(-1, self.world_size, self.micro_batch)
        yield from blocks[:, rank].tolist()


class BatchSampler:
    """What a DataLoader and transformers.Trainer ask for: iterable, with a length and an epoch."""

    def __init__(self, plan: BatchPlan, rank: int) -> None:
        self._plan, self._rank, self._epoch = plan, rank, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the beginning of each epoch, also through accelerate's SkipBatchSampler on resume."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        return self._plan.micro_batches(self._epoch, self._rank)

    def __len__(self) -> int:
        return self._plan.steps_per_epoch * self._plan.accumulation
