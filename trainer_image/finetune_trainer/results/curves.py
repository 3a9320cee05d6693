"""The curves of a run: what is drawn of its log, and the course behind noisy values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Log = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Metric:
    """A panel of the picture: a key of trainer_log.jsonl, with the label (and unit) of its axis."""

    key: str
    label: str


METRICS: Mapping[str, Metric] = {
    "loss": Metric("loss", "Loss (nats per token)"),
    "learning-rate": Metric("lr", "Learning rate"),
    "throughput": Metric("throughput", "Throughput (tokens/s)"),
    "grad-norm": Metric("grad_norm", "Gradient norm"),
}

#: Fewer points than this are a line of their own; a smoothed one would only repeat it.
SMOOTH_FROM = 20
#: Where the smoothed course is worked out; many more points would cost time and show no more.
_PLACES = 300


def smoothed(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The course behind noisy values: at 300 places a straight line fitted to the neighbourhood (Gaussian weights).

    Unlike a running average it neither lags behind a falling curve nor bends at the ends. NaN where nothing is near.
    """
    x, y = np.asarray(steps, float), np.asarray(values, float)
    places = np.linspace(x[0], x[-1], _PLACES)
    width = max((x[-1] - x[0]) / 30, 1.0)
    course = []
    for place in places:
        first, last = np.searchsorted(x, (place - 3 * width, place + 3 * width))
        if first == last:
            course.append(math.nan)
            continue
        near, height = x[first:last] - place, y[first:last]
        weight = np.exp(-0.5 * (near / width) ** 2)
        s0, s1, s2 = weight.sum(), (weight * near).sum(), (weight * near**2).sum()
        t0, t1 = (weight * height).sum(), (weight * near * height).sum()
        spread = s0 * s2 - s1 * s1
        course.append((s2 * t0 - s1 * t1) / spread if spread > 1e-9 * s0 * s2 else t0 / s0)
    return places.tolist(), [float(value) for value in course]


def restarts(log: Log) -> list[int]:
    """The first logged step of each attempt but the first."""
    found = []
    for before, line in itertools.pairwise(log):
        if line.get("attempt", 0) != before.get("attempt", 0):
            found.append(line["current_steps"])
    return found


def points(log: Log, key: str) -> tuple[list[int], list[float]]:
    """Steps and values of a key, without lines that do not have it and without NaN and infinity."""
    found = [(line["current_steps"], float(line[key])) for line in log if math.isfinite(line.get(key, math.nan))]
    return [step for step, _ in found], [value for _, value in found]
