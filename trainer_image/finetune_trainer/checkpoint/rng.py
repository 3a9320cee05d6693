"""The state of every random generator of a rank: Python, numpy, torch, and its GPU."""

from __future__ import annotations

import random
from typing import Any


def capture() -> dict[str, Any]:
    """The present state, in a form that checkpoint.state can save."""
    import numpy as np
    import torch

    numpy_state: dict[str, Any] = dict(np.random.get_state(legacy=False))
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": {**numpy_state, "state": {**numpy_state["state"], "key": numpy_state["state"]["key"].tolist()}},
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore(state: dict[str, Any]) -> None:
    """Go on exactly where `capture` was called."""
    import numpy as np
    import torch

    random.setstate(state["python"])
    key = np.array(state["numpy"]["state"]["key"], dtype=np.uint32)
    np.random.set_state({**state["numpy"], "state": {**state["numpy"]["state"], "key": key}})
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
