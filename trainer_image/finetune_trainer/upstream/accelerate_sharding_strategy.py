"""accelerate shards FSDP1 fully, whatever strategy was asked for.

Seen in accelerate 1.15: where `sharding_strategy` is not given, the FSDP plugin takes it from FSDP_SHARDING_STRATEGY, else
FULL_SHARD, and prefers it to `reshard_after_forward`, which is all that transformers 5.23 passes on.
"""

from __future__ import annotations

import os


def ask_for(strategy: str) -> None:
    """From now on FSDP1 shards by `strategy`: FULL_SHARD or SHARD_GRAD_OP."""
    os.environ["FSDP_SHARDING_STRATEGY"] = strategy
