"""Where the learning rate stands. It is a function of the number of steps (torch's LambdaLR, all of transformers' schedulers)."""

from __future__ import annotations

from typing import Any


def capture(scheduler: Any) -> dict[str, Any]:
    """Steps done, and the learning rate in force. All groups of parameters have the same one."""
    return {"steps": scheduler.last_epoch, "learning_rate": float(scheduler.get_last_lr()[0])}


def restore(scheduler: Any, state: dict[str, Any]) -> None:
    """Go on exactly there; the optimizer may have its parameters in other groups than it had."""
    scheduler.last_epoch = state["steps"]
    scheduler._step_count = state["steps"] + 1
    for group in scheduler.optimizer.param_groups:
        group["lr"] = state["learning_rate"]
    scheduler._last_lr = [state["learning_rate"]] * len(scheduler.optimizer.param_groups)
