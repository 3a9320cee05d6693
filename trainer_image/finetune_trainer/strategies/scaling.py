"""The gradient scale of precision fp16: it adapts itself, and a run that goes on has to go on with it.

In other precisions DeepSpeed has a scale too, which is always 1.
"""

from __future__ import annotations

from typing import Any


def capture(trainer: Any) -> dict[str, Any] | None:
    """The state of torch's gradient scaler, or of DeepSpeed's; None where no scale adapts itself."""
    if trainer.accelerator.scaler is not None:
        state: dict[str, Any] = trainer.accelerator.scaler.state_dict()
        return state
    scaler = _of_deepspeed(trainer)
    return (
        None if scaler is None else {name: value for name, value in vars(scaler).items() if isinstance(value, bool | int | float)}
    )


def restore(trainer: Any, state: dict[str, Any]) -> None:
    """The reverse of capture. Of the other library's scaler only the scale: each has its own way to count when to change it."""
    torchs, own = trainer.accelerator.scaler, capture(trainer) or {}
    if state.keys() != own.keys():
        state = own | {"cur_scale" if torchs is None else "scale": state.get("scale", state.get("cur_scale"))}
    if torchs is not None:
        torchs.load_state_dict(state)
    else:
        vars(_of_deepspeed(trainer)).update(state)


def _of_deepspeed(trainer: Any) -> Any:
    scaler = getattr(trainer.model_wrapped.optimizer, "loss_scaler", None) if trainer.is_deepspeed_enabled else None
    return scaler if scaler is not None and scaler.dynamic else None
