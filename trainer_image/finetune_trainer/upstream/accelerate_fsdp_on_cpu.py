"""Without a GPU, accelerate trains plain DDP where FSDP was asked for, and says nothing.

Seen in accelerate 1.15: `AcceleratorState.__init__` looks at the FSDP plugin only where the ranks have accelerators, so that with
MULTI_CPU the model ends up in DistributedDataParallel. And its device is "cpu:0" there, which FSDP1 refuses beside "cpu".
"""

from __future__ import annotations

from typing import Any


def apply() -> None:
    """From now on FSDP is in force on the CPU too. Changes nothing where there is a GPU."""
    import torch
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    if torch.cuda.is_available():
        return
    init, set_device = AcceleratorState.__init__, PartialState.set_device

    def patched_init(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        plugin = kwargs.get("fsdp_plugin")
        if plugin is None or self.distributed_type != DistributedType.MULTI_CPU:
            return
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        if self._mixed_precision != "no":
            plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = plugin

    def patched_set_device(self: Any) -> None:
        set_device(self)
        if self.device is not None and self.device.type == "cpu":
            self.device = torch.device("cpu")

    AcceleratorState.__init__, PartialState.set_device = patched_init, patched_set_device
