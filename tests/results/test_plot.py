"""The picture: what is drawn (the figure's own data), and that a PNG of the right size comes of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from finetune_api.contract import LOG_FILE, PLOT_FILE
from finetune_trainer.results.curves import METRICS, restarts, smoothed
from finetune_trainer.results.log import read_log
from finetune_trainer.results.plot import DEFAULT_METRICS, draw, plot_runs, write_plot

PNG = b"\x89PNG\r\n\x1a\n"


def a_log(steps: int, every: int = 1, evaluated: bool = True, restart_at: int | None = None) -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = []
    for step in range(every, steps + 1, every):
        attempt = int(restart_at is not None and step >= restart_at)
        loss = 1 + math.exp(-step / 30) + 0.1 * (-1) ** step
        log.append({"current_steps": step, "total_steps": steps, "loss": loss, "lr": 1e-4, "throughput": 800.0, "attempt": attempt})
        if evaluated and step % 20 == 0:
            log.append({"current_steps": step, "total_steps": steps, "eval_loss": 1.5, "attempt": attempt})
    return log


def png_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(PNG)
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_one_long_run() -> None:
    log = a_log(100, restart_at=51)
    loss, rate, speed = draw({"sft": log}).axes
    logged, course, evaluation, restart = loss.lines
    assert list(logged.get_ydata()) == [line["loss"] for line in log if "loss" in line]
    assert list(evaluation.get_xdata()) == [20, 40, 60, 80, 100]
    assert restart.get_xdata() == [51, 51]
    assert max(abs(y - 1 - math.exp(-x / 30)) for x, y in zip(*course.get_data(), strict=True)) < 0.06
    assert [axis.get_ylabel() for axis in (loss, rate, speed)] == [METRICS[name].label for name in DEFAULT_METRICS]
    legend = [text.get_text() for text in loss.get_legend().get_texts()]
    assert legend == ["training loss, as logged", "training loss, smoothed", "evaluation loss", "restart"]
    assert loss.get_title(loc="left") == f"sft: loss {log[0]['loss']:.3f} → {log[-2]['loss']:.3f} in 100 steps"


def test_few_points_are_each_shown_and_the_legend_names_only_what_is_there() -> None:
    loss = draw({"sft": a_log(15, every=5, evaluated=False)}).axes[0]
    assert [line.get_marker() for line in loss.lines if len(line.get_xdata())] == ["o"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training loss"]


def test_several_runs_over_each_other() -> None:
    logs = {"a": a_log(60), "b": a_log(40, every=10, evaluated=False)}
    loss = draw(logs).axes[0]
    colors = {line.get_label(): line.get_color() for line in loss.lines}
    assert colors["a"] == colors["a, evaluation"] != colors["b"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["a", "b", "evaluation loss"]


def test_metrics_are_those_asked_for_and_logged(tmp_path: Path) -> None:
    assert [axis.get_ylabel() for axis in draw({"a": a_log(5)}, ("throughput", "grad-norm")).axes] == ["Throughput (tokens/s)"]
    with pytest.raises(ValueError, match="grad-norm"):
        draw({"a": a_log(5)}, ("grad-norm",))
    with pytest.raises(ValueError, match="Nothing to draw"):
        write_plot(tmp_path)


def test_infinite_values_leave_a_gap_and_no_crash() -> None:
    log = a_log(30, evaluated=False)
    log[10]["loss"] = math.nan
    logged, course, *_ = draw({"a": log}).axes[0].lines
    assert 11 not in logged.get_xdata()
    assert all(map(math.isfinite, course.get_ydata()))


def test_the_smoothed_course_does_not_lag() -> None:
    steps = list(range(1, 1001))
    places, course = smoothed(steps, [5 - step / 250 for step in steps])
    assert len(places) == 300
    assert max(abs(y - (5 - x / 250)) for x, y in zip(places, course, strict=True)) < 1e-6


def test_restarts_are_where_the_attempt_changes() -> None:
    assert restarts(a_log(10)) == []
    assert restarts(a_log(10, restart_at=4)) == [4]


def test_the_png(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in a_log(50)))
    assert write_plot(tmp_path) == tmp_path / PLOT_FILE
    assert png_size(tmp_path / PLOT_FILE) == (1080, 816)
    plot_runs({"a": a_log(5)}, tmp_path / "loss.png", ("loss",))
    assert png_size(tmp_path / "loss.png") == (1080, 504)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([LOG_FILE, PLOT_FILE, "loss.png"])


def test_reading_a_log(tmp_path: Path) -> None:
    assert read_log(tmp_path) == []
    done = [
        {"current_steps": step, "attempt": attempt} for attempt, step in [(0, 1), (0, 2), (0, 3), (1, 3), (1, 4), (4, 2), (4, 3)]
    ]
    (tmp_path / LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in done) + '{"current_st')
    assert [(line["attempt"], line["current_steps"]) for line in read_log(tmp_path)] == [(0, 1), (4, 2), (4, 3)]
