"""The curves as figures of plotly.js: plain data. Colours of text, grid and background are the page's (report.js)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from finetune_trainer.results.curves import METRICS, SMOOTH_FROM, Log, Metric, points, restarts, smoothed
from finetune_trainer.results.report.words import plotly_text

Figure = dict[str, Any]

#: Of a run; each can be told from the others, and from a light and a dark background.
COLORS = ("#3b82f6", "#ea7317", "#10a37f", "#a66bde", "#e0529c", "#0fa3b1", "#b98a1d", "#8a8f98")
_EVAL_COLOR, _GREY = "#ea7317", "#8a8f98"
_FORMATS = {"loss": ".4f", "lr": ".3e", "throughput": ",.0f", "grad_norm": ".3f"}
#: More points make a browser slow, and a screen has no place for them.
MAX_POINTS = 4000


class Key(NamedTuple):
    """What a line means; `dash` as SVG's stroke-dasharray, in pixels."""

    label: str
    color: str
    dash: str = "none"


def curve_charts(logs: Mapping[str, Log]) -> dict[str, Figure]:
    """A figure for each of METRICS that a run has logged.

    Args:
        logs: name of a run -> lines of its trainer_log.jsonl.
    """
    return {
        name: _curves(metric, logs) for name, metric in METRICS.items() if any(points(log, metric.key)[0] for log in logs.values())
    }


def curve_keys(logs: Mapping[str, Log]) -> list[Key]:
    """The legend of the curves: one run, and what each line is; several, and which colour is which run."""
    several = len(logs) > 1
    keys = [Key(name, COLORS[index % len(COLORS)]) for index, name in enumerate(logs)] if several else [Key("training", COLORS[0])]
    if any(points(log, "eval_loss")[0] for log in logs.values()):
        keys.append(Key("evaluation", _GREY if several else _EVAL_COLOR, "6 3"))
    if any(restarts(log) for log in logs.values()):
        keys.append(Key("restart", _GREY, "2 3"))
    return keys


def thinned(steps: Sequence[int], values: Sequence[float], limit: int = MAX_POINTS) -> tuple[list[int], list[float]]:
    """About `limit` of the points: the lowest and the highest of each stretch, so that no spike is lost, and both ends."""
    if len(steps) <= limit:
        return list(steps), list(values)
    y = np.asarray(values)
    bounds = np.linspace(0, len(y), limit // 2 + 1).astype(int).tolist()
    kept = {0, len(y) - 1}
    for first, last in itertools.pairwise(bounds):
        kept |= {first + int(y[first:last].argmin()), first + int(y[first:last].argmax())}
    order = sorted(kept)
    return [steps[index] for index in order], [values[index] for index in order]


def _curves(metric: Metric, logs: Mapping[str, Log]) -> Figure:
    several = len(logs) > 1
    data: list[Figure] = []
    shapes: list[Figure] = []
    for index, (name, log) in enumerate(logs.items()):
        color = COLORS[index % len(COLORS)]
        data += _run(metric, plotly_text(name) if several else "training", log, color)
        if metric.key == "loss":
            evaluated = f"{plotly_text(name)}, evaluation" if several else "evaluation"
            data += _evaluations(evaluated, log, color if several else _EVAL_COLOR)
        line = {"color": color if several else _GREY, "width": 1, "dash": "dot"}
        shapes += [
            {"type": "line", "x0": step, "x1": step, "y0": 0, "y1": 1, "yref": "paper", "line": line, "layer": "below"}
            for step in restarts(log)
        ]
    shape = _FORMATS[metric.key]
    low = {"rangemode": "tozero"} if metric.key in ("lr", "throughput") else {}
    exponents = "power" if metric.key == "lr" else "none"
    last = max(line["current_steps"] for log in logs.values() for line in log)
    return {
        "data": data,
        "layout": {
            "hovermode": "x unified",
            "height": 400 if metric.key == "loss" else 260,
            "shapes": shapes,
            "xaxis": {"title": {"text": "Optimizer step"}, "unifiedhovertitle": {"text": "step %{x}"}, "range": [0, last * 1.01]},
            "yaxis": {"hoverformat": shape, "exponentformat": exponents, "separatethousands": True, "nticks": 6, **low},
        },
    }


def _run(metric: Metric, name: str, log: Log, color: str) -> Iterator[Figure]:
    """Few points: each is shown. Many: as logged, faintly, and the course that they follow."""
    steps, values = points(log, metric.key)
    if not steps:
        return
    x, y = thinned(steps, values)
    trace = {"type": "scatter", "x": x, "y": y, "name": name, "line": {"color": color, "width": 2}}
    if len(steps) < SMOOTH_FROM:
        yield trace | {"mode": "lines+markers", "marker": {"size": 6}}
    elif metric.key == "lr":
        yield trace | {"mode": "lines"}
    else:
        yield trace | {"mode": "lines", "opacity": 0.5, "line": {"color": color, "width": 1}}
        places, course = smoothed(steps, values)
        gaps = [None if math.isnan(value) else value for value in course]
        yield trace | {"mode": "lines", "x": places, "y": gaps, "hoverinfo": "skip"}


def _evaluations(name: str, log: Log, color: str) -> Iterator[Figure]:
    steps, values = points(log, "eval_loss")
    if steps:
        x, y = thinned(steps, values)
        yield {
            "type": "scatter",
            "mode": "lines+markers",
            "x": x,
            "y": y,
            "name": name,
            "line": {"color": color, "width": 2, "dash": "dash"},
            "marker": {"symbol": "diamond", "size": 7},
        }
