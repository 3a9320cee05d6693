"""The figures of a report as plotly.js takes them: plain data. Colours of text, grid and background are the page's (report.js)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from finetune_trainer.results.curves import METRICS, SMOOTH_FROM, Log, Metric, points, restarts, smoothed
from finetune_trainer.results.report.timeline import Kind, Span
from finetune_trainer.results.report.words import clock, duration

Figure = dict[str, Any]

#: Of a run; each can be told from the others, and from a light and a dark background.
COLORS = ("#3b82f6", "#ea7317", "#10a37f", "#a66bde", "#e0529c", "#0fa3b1", "#b98a1d", "#8a8f98")
_EVAL_COLOR, _GREY = "#ea7317", "#8a8f98"
_RESTART_LINE: Mapping[str, Any] = {"width": 1, "dash": "dot"}
_KIND_COLORS: Mapping[Kind, str] = {
    "getting ready": "#8fa3bf",
    "training": "#3b82f6",
    "evaluating": "#a66bde",
    "saving": "#10a37f",
    "finishing": "#0fa3b1",
    "restarting": "#e5484d",
    "suspended": "#d9a514",
}
#: Between attempts nothing runs: hatched, so that colour is not the only sign.
_HATCHED = ("restarting", "suspended")
_FORMATS = {"loss": ".4f", "lr": ".3e", "throughput": ",.0f", "grad_norm": ".3f"}
#: More points make a browser slow, and a screen has no place for them.
MAX_POINTS = 4000
#: The same for the time line; the shortest are left out.
MAX_SPANS = 3000
_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def curve_charts(logs: Mapping[str, Log]) -> dict[str, Figure]:
    """A figure for each of METRICS that a run has logged.

    Args:
        logs: name of a run -> lines of its trainer_log.jsonl.
    """
    return {
        name: _curves(metric, logs) for name, metric in METRICS.items() if any(points(log, metric.key)[0] for log in logs.values())
    }


def timeline_chart(timelines: Mapping[str, Sequence[Span]]) -> Figure | None:
    """What each run was doing since its beginning; None when nothing is known of any.

    Args:
        timelines: name of a run -> its time line.
    """
    known = {name: found for name, found in timelines.items() if found}
    if not known:
        return None
    unit, word = _unit(max(found[-1].end - found[0].start for found in known.values()))
    traces = [_bars(kind, known, unit) for kind in _KIND_COLORS]
    # Without names where there is one run; the first run on top.
    axis = {
        "visible": len(known) > 1,
        "autorange": "reversed",
        "type": "category",
        "fixedrange": True,
        "showgrid": False,
        "automargin": True,
    }
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": {
            "barmode": "overlay",
            "showlegend": False,
            "bargap": 0.35,
            "height": 96 + 48 * len(known),
            "hovermode": "closest",
            "xaxis": {"title": {"text": f"{word} since the run began"}, "rangemode": "tozero"},
            "yaxis": axis,
        },
    }


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
        data += _run(metric, _text(name) if several else "training", log, color)
        if metric.key == "loss":
            evaluated = f"{_text(name)}, evaluation" if several else "evaluation"
            data += _evaluations(evaluated, log, color if several else _EVAL_COLOR)
        line = {**_RESTART_LINE, "color": color if several else _GREY}
        shapes += [
            {"type": "line", "x0": step, "x1": step, "y0": 0, "y1": 1, "yref": "paper", "line": line, "layer": "below"}
            for step in restarts(log)
        ]
    if shapes:  # Lines across a figure have no place in its legend: this is theirs.
        line = {**_RESTART_LINE, "color": _GREY}
        data.append({"type": "scatter", "mode": "lines", "x": [None], "y": [None], "name": "restart", "line": line})
    shape = _FORMATS[metric.key]
    low = {"rangemode": "tozero"} if metric.key in ("lr", "throughput") else {}
    exponents = "power" if metric.key == "lr" else "none"
    last = max(line["current_steps"] for log in logs.values() for line in log)
    return {
        "data": data,
        "layout": {
            "hovermode": "x unified",
            "showlegend": metric.key == "loss",
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
    trace = {"type": "scatter", "x": x, "y": y, "name": name, "legendgroup": name, "line": {"color": color, "width": 2}}
    if len(steps) < SMOOTH_FROM:
        yield trace | {"mode": "lines+markers", "marker": {"size": 6}}
    elif metric.key == "lr":
        yield trace | {"mode": "lines"}
    else:
        yield trace | {"mode": "lines", "opacity": 0.5, "line": {"color": color, "width": 1}, "showlegend": False}
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


def _bars(kind: Kind, timelines: Mapping[str, Sequence[Span]], unit: float) -> Figure:
    rows = [(name, span, span.start - found[0].start) for name, found in timelines.items() for span in longest(found)]
    rows = [(name, span, begun) for name, span, begun in rows if span.kind == kind]
    pattern = {"pattern": {"shape": "/", "fillmode": "replace", "size": 6}} if kind in _HATCHED else {}
    return {
        "type": "bar",
        "orientation": "h",
        "name": kind,
        "y": [_text(name) for name, _, _ in rows],
        "base": [begun / unit for _, _, begun in rows],
        "x": [(span.end - span.start) / unit for _, span, _ in rows],
        "customdata": [[span.attempt, _text(span.what), duration(span.end - span.start), clock(span.start)] for _, span, _ in rows],
        "hovertemplate": "attempt %{customdata[0]}: %{customdata[1]}<br>%{customdata[2]}, from %{customdata[3]}<extra></extra>",
        "marker": {"color": _KIND_COLORS[kind], "line": {"width": 0}, **pattern},
    }


def longest(found: Sequence[Span]) -> list[Span]:
    """At most MAX_SPANS of them, in their order: what is left out is narrower than a screen can show."""
    if len(found) <= MAX_SPANS:
        return list(found)
    shortest = sorted((span.end - span.start for span in found), reverse=True)[MAX_SPANS - 1]
    return [span for span in found if span.end - span.start >= shortest]


def _unit(seconds: float) -> tuple[float, str]:
    """The largest unit of which there are at least two."""
    return next(((unit, word) for unit, word in _UNITS if seconds >= 2 * unit), _UNITS[-1])


def _text(name: str) -> str:
    """A user's text where plotly.js would read tags and formulas."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")
