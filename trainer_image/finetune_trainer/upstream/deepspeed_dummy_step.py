"""DeepSpeed without ZeRO, in bf16, starts Adam at its second step.

Seen in DeepSpeed 0.19 (`FP16_UnfusedOptimizer.initialize_optimizer_states`): to allocate the optimizer's state it makes a step with
gradients of zero, which counts. The bias correction is then that of one step later, and the first updates are half as large.
"""

from __future__ import annotations

from typing import Any


def forget(optimizer: Any) -> None:
    """Take back what the dummy step has done to torch's `optimizer`; its state is made anew at the first real step."""
    optimizer.state.clear()
