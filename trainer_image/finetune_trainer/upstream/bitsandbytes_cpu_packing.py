"""On a processor with AVX512-BF16, an evaluation leaves 4-bit weights behind that training cannot use.

Seen in bitsandbytes 0.50: `Linear4bit.forward` reorders the weight in place for a faster kernel when it is not training, and only
saving or moving the model puts it back. Where the weight is gathered for each pass (FSDP2, ZeRO-3) the next one comes in the old
order and is read in the new one; elsewhere, training goes on through a kernel that has no gradient.
"""

from __future__ import annotations

from typing import Any


def switch_off(model: Any) -> None:
    """Weights of `model` stay as they are in memory. Call before its first forward pass."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
