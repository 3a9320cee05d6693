"""transformers drops `ddp_timeout` when it trains on the CPU, and a hung peer is then noticed after 30 minutes only.

Seen in transformers 5.23: TrainingArguments passes backend and timeout to accelerate's PartialState, but on the use_cpu path the
backend alone. A process group that exists already is taken as it is, so ours is made first, with the time-out.
"""

from __future__ import annotations

from datetime import timedelta


def init_process_group(backend: str, timeout_seconds: float) -> None:
    """torch.distributed.init_process_group from torchrun's environment, with the time-out that was asked for."""
    import torch.distributed as dist

    dist.init_process_group(backend, timeout=timedelta(seconds=timeout_seconds))
