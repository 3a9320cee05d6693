"""The picture of one run or of several: loss, evaluation loss, learning rate, throughput over optimizer steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from finetune_api.contract import PLOT_FILE
from finetune_trainer.results.curves import METRICS, SMOOTH_FROM, Log, Metric, points, restarts, smoothed
from finetune_trainer.results.log import read_log

DEFAULT_METRICS = ("loss", "learning-rate", "throughput")

_COLORS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#444444")
_EVAL_COLOR, _GREY = "#d95f02", "#666666"
_DPI, _WIDTH, _TALL, _LOW = 120, 9.0, 4.2, 2.6
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
    present = [name for name in metrics if any(points(log, METRICS[name].key)[0] for log in logs.values())]
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


def _panel(axis: Axes, logs: Mapping[str, Log], metric: Metric) -> None:
    several = len(logs) > 1
    for index, (name, log) in enumerate(logs.items()):
        color = _COLORS[index % len(_COLORS)]
        _line(axis, name, *points(log, metric.key), color, noisy=metric.key != "lr", faint=0.15 if several else 0.3)
        if metric.key == "loss":
            steps, values = points(log, "eval_loss")
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
    if len(steps) < SMOOTH_FROM:
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
    elif any(len(points(log, "loss")[0]) >= SMOOTH_FROM for log in logs.values()):
        handles.append(Line2D([], [], color=color, alpha=0.4, linewidth=0.9, label="training loss, as logged"))
        handles.append(Line2D([], [], color=color, linewidth=2, label="training loss, smoothed"))
    else:
        handles.append(Line2D([], [], color=color, linewidth=1.6, marker="o", markersize=3.5, label="training loss"))
    if any(points(log, "eval_loss")[0] for log in logs.values()):
        handles.append(Line2D([], [], color=_GREY if several else _EVAL_COLOR, **_EVAL_STYLE, label="evaluation loss"))
    if any(restarts(log) for log in logs.values()):
        handles.append(Line2D([], [], color=_GREY, **_RESTART_STYLE, label="restart"))
    axis.legend(handles=handles, frameon=False, fontsize=9, loc="upper right")


def _title(logs: Mapping[str, Log]) -> str:
    if len(logs) > 1:
        return f"{len(logs)} runs"
    ((name, log),) = logs.items()
    _, losses = points(log, "loss")
    return f"{name}: loss {losses[0]:.3f} → {losses[-1]:.3f} in {log[-1]['current_steps']} steps" if losses else name
