"""The picture of one run or of several: loss, evaluation loss, learning rate, throughput over optimizer steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from finetune_api.contract import PLOT_FILE
from finetune_trainer.results.log import read_log

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
DEFAULT_METRICS = ("loss", "learning-rate", "throughput")

_COLORS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#444444")
_EVAL_COLOR, _GREY = "#d95f02", "#666666"
_DPI, _WIDTH, _TALL, _LOW = 120, 9.0, 4.2, 2.6
#: Fewer points than this are a line of their own; a smoothed one would only repeat it.
_SMOOTH_FROM = 20
#: Where the smoothed course is worked out; many more points would cost time and show no more.
_PLACES = 300
_EVAL_STYLE: Mapping[str, Any] = {"linestyle": "--", "linewidth": 1.4, "marker": "D", "markersize": 4.5, "markerfacecolor": "white"}
_RESTART_STYLE: Mapping[str, Any] = {"linestyle": (0, (2, 3)), "linewidth": 0.9}


def plot_runs(logs: Mapping[str, Log], path: Path, metrics: Sequence[str] = DEFAULT_METRICS) -> None:
    """Write a PNG.

    Args:
        logs: name of a run -> lines of its trainer_log.jsonl.
        metrics: keys of METRICS; loss also shows the evaluation loss.

    Raises:
        ValueError: no run has logged anything of what is asked for.
    """
    figure = draw(logs, metrics)
    scratch = path.with_name(f".{path.name}.tmp")
    FigureCanvasAgg(figure).print_figure(scratch, format="png", dpi=_DPI)
    scratch.replace(path)


def write_plot(output_dir: Path) -> Path:
    """Write training_loss.png from the run's own log. Returns its path.

    Raises:
        ValueError: nothing was logged.
    """
    path = output_dir / PLOT_FILE
    plot_runs({output_dir.name: read_log(output_dir)}, path)
    return path


def draw(logs: Mapping[str, Log], metrics: Sequence[str] = DEFAULT_METRICS) -> Figure:
    """The figure: the first metric large, the others below it, two in a row. Metrics that no run has logged get no panel."""
    present = [name for name in metrics if any(_points(log, METRICS[name].key)[0] for log in logs.values())]
    if not present:
        raise ValueError(f"Nothing to draw: no {' or '.join(metrics)} in {', '.join(logs) or 'no run'}.")
    small = present[1:]
    rows = (len(small) + 1) // 2
    figure = Figure(figsize=(_WIDTH, _TALL + _LOW * rows), layout="constrained")
    grid = figure.add_gridspec(1 + rows, 2, height_ratios=[_TALL] + [_LOW] * rows)
    first = figure.add_subplot(grid[0, :])
    axes = [first]
    for index in range(len(small)):
        alone = index == len(small) - 1 and index % 2 == 0
        place = grid[1 + index // 2, :] if alone else grid[1 + index // 2, index % 2]
        axes.append(figure.add_subplot(place, sharex=first))
    for axis, name in zip(axes, present, strict=True):
        _panel(axis, logs, METRICS[name])
    _legend(first, logs)
    first.set_title(_title(logs), loc="left", fontsize=12, fontweight="bold")
    return figure


def smoothed(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The course behind noisy values: at 300 places a straight line fitted to the neighbourhood (Gaussian weights).

    Unlike a running average it neither lags behind a falling curve nor bends at the ends.
    """
    x, y = np.asarray(steps, float), np.asarray(values, float)
    places = np.linspace(x[0], x[-1], _PLACES)
    width = max((x[-1] - x[0]) / 30, 1.0)
    course = []
    for place in places:
        first, last = np.searchsorted(x, (place - 3 * width, place + 3 * width))
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


def _points(log: Log, key: str) -> tuple[list[int], list[float]]:
    """Steps and values of a key, without lines that do not have it and without NaN and infinity."""
    found = [(line["current_steps"], float(line[key])) for line in log if math.isfinite(line.get(key, math.nan))]
    return [step for step, _ in found], [value for _, value in found]


def _panel(axis: Axes, logs: Mapping[str, Log], metric: Metric) -> None:
    several = len(logs) > 1
    for index, (name, log) in enumerate(logs.items()):
        color = _COLORS[index % len(_COLORS)]
        _line(axis, name, *_points(log, metric.key), color, noisy=metric.key != "lr", faint=0.15 if several else 0.3)
        if metric.key == "loss":
            steps, values = _points(log, "eval_loss")
            axis.plot(steps, values, color=color if several else _EVAL_COLOR, label=f"{name}, evaluation", **_EVAL_STYLE)
        for step in restarts(log):
            axis.axvline(step, color=color if several else _GREY, zorder=0, **_RESTART_STYLE)
    axis.set_ylabel(metric.label)
    axis.set_xlabel("Optimizer step")
    axis.set_xlim(left=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
    axis.grid(True, color="#dddddd", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    if metric.key == "lr":
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
    if metric.key in ("lr", "throughput"):
        axis.set_ylim(0, axis.dataLim.y1 * 1.08 or None)


def _line(axis: Axes, name: str, steps: list[int], values: list[float], color: str, *, noisy: bool, faint: float) -> None:
    """Few points: each is shown. Many: the course they follow, with the points faintly behind it."""
    if len(steps) < _SMOOTH_FROM:
        axis.plot(steps, values, color=color, linewidth=1.6, marker="o", markersize=3.5, label=name)
    elif noisy:
        axis.plot(steps, values, color=color, alpha=faint, linewidth=0.9, label="_as logged")
        axis.plot(*smoothed(steps, values), color=color, linewidth=2, label=name)
    else:
        axis.plot(steps, values, color=color, linewidth=1.6, label=name)


def _legend(axis: Axes, logs: Mapping[str, Log]) -> None:
    """One run: what each line is. Several: which colour is which run, and what the dashes mean."""
    several = len(logs) > 1
    color = _GREY if several else _COLORS[0]
    handles = []
    if several:
        handles += [Line2D([], [], color=_COLORS[index % len(_COLORS)], linewidth=2, label=name) for index, name in enumerate(logs)]
    elif any(len(_points(log, "loss")[0]) >= _SMOOTH_FROM for log in logs.values()):
        handles.append(Line2D([], [], color=color, alpha=0.4, linewidth=0.9, label="training loss, as logged"))
        handles.append(Line2D([], [], color=color, linewidth=2, label="training loss, smoothed"))
    else:
        handles.append(Line2D([], [], color=color, linewidth=1.6, marker="o", markersize=3.5, label="training loss"))
    if any(_points(log, "eval_loss")[0] for log in logs.values()):
        handles.append(Line2D([], [], color=_GREY if several else _EVAL_COLOR, **_EVAL_STYLE, label="evaluation loss"))
    if any(restarts(log) for log in logs.values()):
        handles.append(Line2D([], [], color=_GREY, **_RESTART_STYLE, label="restart"))
    axis.legend(handles=handles, frameon=False, fontsize=9, loc="upper right")


def _title(logs: Mapping[str, Log]) -> str:
    if len(logs) > 1:
        return f"{len(logs)} runs"
    ((name, log),) = logs.items()
    _, losses = _points(log, "loss")
    return f"{name}: loss {losses[0]:.3f} → {losses[-1]:.3f} in {log[-1]['current_steps']} steps" if losses else name
