"""torch's DistributedDataParallel; rank 0 saves, with torch.save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from bench.strategies.plain import adamw


class Ddp:
    """See Wrapped."""

    def __init__(self, model: Any, rate: float) -> None:
        self.model = DistributedDataParallel(model.train())
        self.optimizer = adamw(model, rate)
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}

    def step(self, loss: Any) -> None:
        """See Wrapped."""
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._trained.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def save(self, folder: Path) -> None:
        """See Wrapped."""
        if dist.get_rank() == 0:
            torch.save({"model": self._trained, "optimizer": self.optimizer.state_dict()}, folder / "checkpoint.pt")
        dist.barrier()

    def load(self, folder: Path) -> None:
        """See Wrapped."""
        content = torch.load(folder / "checkpoint.pt", map_location="cpu")
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(content["model"][name])
        self.optimizer.load_state_dict(content["optimizer"])
