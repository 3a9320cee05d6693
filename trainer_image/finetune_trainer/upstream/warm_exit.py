"""A rank forked from a warm process sometimes hangs for minutes when it destroys its process group.

Seen in torch 2.13 with gloo (5 of about 14 exits, gdb: ~Reducer -> ~ProcessGroupGloo joins its own thread) when DDP's Reducer
still lives while the group is destroyed. 64 of 64 gangs left cleanly with everything freed before.
"""

from __future__ import annotations

import gc
from typing import Any


def leave(trainer: Any) -> None:
    """Free the trainer's model, wrapper and optimizer, then destroy the process group.

    The caller must hold no other reference to the model, and must not use `trainer` afterwards.
    """
    import torch.distributed as dist

    trainer.accelerator.free_memory()
    for name in ("model", "model_wrapped", "optimizer", "lr_scheduler", "callback_handler"):
        setattr(trainer, name, None)
    gc.collect()
    if dist.is_initialized():
        dist.destroy_process_group()
