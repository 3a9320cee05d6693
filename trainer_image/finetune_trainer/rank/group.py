"""The process group of the ranks, and a second one on the CPU over which they agree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from finetune_api.spec import Distributed
from finetune_trainer.errors import UserError
from finetune_trainer.upstream.ddp_timeout import init_process_group


@dataclass(frozen=True)
class Ranks:
    """This rank's place. `control`: gloo group for agreements, so that none of them waits for a GPU."""

    rank: int
    world_size: int
    control: Any

    def sum(self, values: Sequence[int]) -> list[int]:
        """Element-wise sum of `values` (64-bit integers) over all ranks. Every rank must call it."""
        import torch
        import torch.distributed as dist

        tensor = torch.tensor(values, dtype=torch.int64)
        dist.all_reduce(tensor, group=self.control)
        return [int(v) for v in tensor.tolist()]

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        """Element-wise sum of `values` (float64) over all ranks. Every rank must call it."""
        import torch
        import torch.distributed as dist

        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor, group=self.control)
        return [float(v) for v in tensor.tolist()]

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.sum([0])


def choose_backend(distributed: Distributed, cuda: bool) -> str:
    """The collectives' backend that is in force for `backend: auto | nccl | gloo`.

    Raises:
        UserError: NoGpu, when nccl is asked for on a machine without one.
    """
    if distributed.backend == "nccl" and not cuda:
        raise UserError(
            "NoGpu", "spec.distributed.backend: nccl needs a GPU and this node shows none.", "Use backend: auto or gloo."
        )
    if distributed.backend == "auto":
        return "nccl" if cuda else "gloo"
    return distributed.backend


def join(distributed: Distributed, timeout_seconds: float) -> Ranks:
    """Join the ranks that torchrun's environment names. A collective that takes longer than the time-out fails."""
    import torch
    import torch.distributed as dist

    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    init_process_group(choose_backend(distributed, torch.cuda.is_available()), timeout_seconds)
    return Ranks(rank, world_size, dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_seconds)))
