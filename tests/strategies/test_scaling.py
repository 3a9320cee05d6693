"""The gradient scale goes on, also under the other library's scaler. (Training in fp16 needs a GPU; the scalers do not.)"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler

from finetune_trainer.strategies import scaling


def under_torch(scale: float) -> Any:
    """What of a trainer counts, with torch's scaler."""
    return SimpleNamespace(accelerator=SimpleNamespace(scaler=torch.amp.GradScaler("cpu", init_scale=scale)))


def under_deepspeed(scaler: Any) -> Any:
    """The same with DeepSpeed's."""
    wrapped = SimpleNamespace(optimizer=SimpleNamespace(loss_scaler=scaler))
    return SimpleNamespace(accelerator=SimpleNamespace(scaler=None), is_deepspeed_enabled=True, model_wrapped=wrapped)


def dynamic(scale: float) -> Any:
    return under_deepspeed(
        DynamicLossScaler(
            init_scale=scale,
            scale_window=1000,
            min_scale=1,
            delayed_shift=1,
            consecutive_hysteresis=False,
            raise_error_at_min_scale=True,
            dtype=torch.float16,
        )
    )


def scale_of(trainer: Any) -> float:
    state = scaling.capture(trainer)
    assert state is not None
    return float(state.get("scale", state.get("cur_scale")))


@pytest.mark.parametrize("before", [under_torch, dynamic])
@pytest.mark.parametrize("after", [under_torch, dynamic])
def test_it_goes_on(before: Any, after: Any) -> None:
    saved, goes_on = scaling.capture(before(512.0)), after(65536.0)
    assert saved is not None
    scaling.restore(goes_on, saved)
    assert scale_of(goes_on) == 512.0
    assert scaling.capture(goes_on).keys() == scaling.capture(after(1.0)).keys()


def test_all_of_the_same_scaler() -> None:
    before, after = dynamic(512.0), dynamic(65536.0)
    before.model_wrapped.optimizer.loss_scaler.update_scale(overflow=False)  # Counts the step.
    scaling.restore(after, scaling.capture(before))
    assert scaling.capture(after) == scaling.capture(before) != scaling.capture(dynamic(512.0))


def test_a_scale_that_stays_is_none() -> None:
    """DeepSpeed's in float32 and bfloat16. A checkpoint of another strategy has none for it."""
    assert scaling.capture(under_deepspeed(LossScaler(scale=1.0))) is None
