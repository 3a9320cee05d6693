"""A run in a few numbers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def key_figures(log: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of a log worth repeating; absent ones are left out.

    Tokens per second is the median over the logged steps, so that a slow first step or an evaluation does not count.
    """
    losses = [line["loss"] for line in log if "loss" in line]
    evals = [line["eval_loss"] for line in log if "eval_loss" in line]
    speeds = [line["throughput"] for line in log if "throughput" in line]
    last = log[-1] if log else {}
    found = {
        "step": last.get("current_steps"),
        "totalSteps": last.get("total_steps"),
        "firstLoss": losses[0] if losses else None,
        "lastLoss": losses[-1] if losses else None,
        "evalLoss": evals[-1] if evals else None,
        "tokensPerSecond": statistics.median(speeds) if speeds else None,
    }
    return {name: value for name, value in found.items() if value is not None}
