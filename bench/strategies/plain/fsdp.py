"""torch's FullyShardedDataParallel (1) and fully_shard (2), a decoder layer at a time; torch.distributed.checkpoint for both."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

from bench.strategies.plain import adamw


class _Fsdp:
    model: Any
    optimizer: Any
    _options = StateDictOptions(ignore_frozen_params=True, strict=False)

    def save(self, folder: Path) -> None:
        """See Wrapped."""
        dcp.save(self._state(), checkpoint_id=folder)

    def load(self, folder: Path) -> None:
        """See Wrapped."""
        state = self._state()
        dcp.load(state, checkpoint_id=folder)
        set_state_dict(
            self.model,
            self.optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=self._options,
        )

    def _state(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.model, self.optimizer, options=self._options)
        # A frozen weight that two modules share is in there under its second name.
        trained = {name.replace("_fsdp_wrapped_module.", "") for name, p in self.model.named_parameters() if p.requires_grad}
        return {"model": {name: tensor for name, tensor in model.items() if name in trained}, "optimizer": optimizer}


class Fsdp2(_Fsdp):
    """See Wrapped."""

    def __init__(self, model: Any, rate: float) -> None:
        mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),))
        for layer in _layers(model):
            fully_shard(layer, mesh=mesh)
        self.model = fully_shard(model.train(), mesh=mesh)
        self.optimizer = adamw(self.model, rate)

    def step(self, loss: Any) -> None:
        """See Wrapped."""
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


class Fsdp1(_Fsdp):
    """See Wrapped."""

    def __init__(self, model: Any, rate: float) -> None:
        policy = partial(transformer_auto_wrap_policy, transformer_layer_cls={type(layer) for layer in _layers(model)})
        self.model = FullyShardedDataParallel(
            model.train(), auto_wrap_policy=policy, use_orig_params=True, device_id=torch.device("cpu")
        )
        self.optimizer = adamw(self.model, rate)

    def step(self, loss: Any) -> None:
        """See Wrapped."""
        loss.backward()
        self.model.clip_grad_norm_(1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def _layers(model: Any) -> list[Any]:
    """The decoder layers, also those under an adapter."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return list(base.model.layers)
