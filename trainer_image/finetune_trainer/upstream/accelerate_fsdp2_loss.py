"""Under FSDP2 with mixed precision, accelerate rounds the loss to the precision of the weights: 6.2344 where it is 6.2376.

Seen in accelerate 1.15 (`set_mixed_precision`): the policy's `output_dtype` is that of the parameters, and is applied to all that
the model returns, the loss in float32 included. A sum over an evaluation's tokens loses three digits.
"""

from __future__ import annotations

import dataclasses
from typing import Any


def keep(plugin: Any) -> None:
    """Let the outputs of accelerate's FSDP `plugin` be as the model makes them. Call before the model is wrapped."""
    if plugin.mixed_precision_policy is not None:
        plugin.mixed_precision_policy = dataclasses.replace(plugin.mixed_precision_policy, output_dtype=None)
