"""The gradient scale of precision fp16: it adapts itself, and a run that goes on has to go on with it."""

from __future__ import annotations

from typing import Any


def capture(trainer: Any) -> dict[str, Any] | None:
    """The state of torch's gradient scaler, or of DeepSpeed's; None where there is none."""
    if trainer.accelerator.scaler is not None:
        state: dict[str, Any] = trainer.accelerator.scaler.state_dict()
        return state
    scaler = _of_deepspeed(trainer)
    return (
        None if scaler is None else {name: value for name, value in vars(scaler).items() if isinstance(value, bool | int | float)}
    )


def restore(trainer: Any, state: dict[str, Any]) -> None:
    """The reverse of capture."""
    if trainer.accelerator.scaler is not None:
        trainer.accelerator.scaler.load_state_dict(state)
    scaler = _of_deepspeed(trainer)
    if scaler is not None:
        vars(scaler).update(state)


def _of_deepspeed(trainer: Any) -> Any:
    return getattr(trainer.model_wrapped.optimizer, "loss_scaler", None) if trainer.is_deepspeed_enabled else None
