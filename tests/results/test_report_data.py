"""What a report is drawn from: time lines, differences and figures, without a page around them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from finetune_trainer.results.attempts import read_attempts
from finetune_trainer.results.curves import smoothed
from finetune_trainer.results.report.curve_charts import MAX_POINTS, curve_charts, curve_keys, thinned
from finetune_trainer.results.report.differences import ABSENT, Difference, differences
from finetune_trainer.results.report.run import NothingLogged, read_run
from finetune_trainer.results.report.timeline import Span, spans, state
from finetune_trainer.results.report.timeline_chart import MAX_SPANS, legible, timeline_chart
from finetune_trainer.results.report.words import clock, duration
from results.runs import ATTEMPTS, BEGAN, begun, ended, lines, phase, write_run


def timeline(tmp_path: Path, attempts: list[dict], last_logged: float = 0.0) -> list[tuple[str, float, float]]:
    read = read_attempts(write_run(tmp_path / "run", [], attempts))
    return [(span.kind, span.start - BEGAN, span.end - BEGAN) for span in spans(read, BEGAN + last_logged)]


def test_the_time_line_of_a_run_with_everything(tmp_path: Path) -> None:
    assert timeline(tmp_path, ATTEMPTS) == [
        ("getting ready", 0, 1),
        ("getting ready", 1, 5),
        ("getting ready", 5, 7),
        ("training", 7, 20),
        ("saving", 20, 22),
        ("training", 22, 30),
        ("restarting", 30, 33),
        ("getting ready", 33, 35),
        ("training", 35, 50),
        ("suspended", 50, 90),
        ("getting ready", 90, 92),
        ("training", 92, 110),
        ("evaluating", 110, 112),
        ("finishing", 112, 115),
    ]


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (75, "RankFailed", "restarting"),
        (76, "Stalled", "restarting"),
        (None, "Killed", "restarting"),
        (77, "Stopped", "suspended"),
        (64, "BadDataRow", "suspended"),
    ],
)
def test_what_lies_between_two_attempts(tmp_path: Path, code: int | None, reason: str, kind: str) -> None:
    assert timeline(tmp_path, [begun(0, 0), ended(0, 5, code, reason), begun(1, 9)])[1:] == [(kind, 5, 9)]


def test_a_run_under_way_reaches_to_its_last_sign_of_life(tmp_path: Path) -> None:
    attempts = [begun(0, 0), phase(0, 4, "training", 1)]
    assert timeline(tmp_path, attempts, last_logged=100)[-1] == ("training", 4, 100)
    assert timeline(tmp_path / "b", attempts, last_logged=2) == [("getting ready", 0, 4)]


def test_states(tmp_path: Path) -> None:
    for index, (line, expected) in enumerate(
        [
            (ended(0, 1, 0, "Completed"), "completed"),
            (ended(0, 1, 77, "Stopped"), "stopped"),
            (ended(0, 1, 75, "RankFailed"), "failed"),
            (phase(0, 1, "training"), "under way"),
        ]
    ):
        assert state(read_attempts(write_run(tmp_path / str(index), [], [begun(0, 0), line]))) == expected
    assert state([]) == ""


def test_settings_that_differ(tmp_path: Path) -> None:
    log = lines(3)
    one = write_run(tmp_path / "one", log, training={"precision": "fp32", "learningRate": 1e-3})
    two = write_run(
        tmp_path / "two",
        log,
        name="other",
        training={"precision": "fp32", "learningRate": 2e-3, "reportTo": ["tensorboard"]},
        trainer={"env": [{"name": "COLOUR", "value": "secret"}]},
    )
    runs = [read_run(folder.name, folder) for folder in (one, two)]
    rows = differences([run.manifest for run in runs])
    assert Difference("spec.training.learningRate", ("0.001", "0.002")) in rows
    assert Difference("spec.training.reportTo[0]", (ABSENT, "tensorboard")) in rows
    assert Difference("spec.trainer.env[0].name", (ABSENT, "COLOUR")) in rows
    assert "secret" not in str(rows) and "metadata" not in str(rows) and "[]" not in str(rows) and "{}" not in str(rows)
    assert differences([runs[0].manifest, runs[0].manifest]) == []


def test_a_curve_has_every_line_of_the_log() -> None:
    log = lines(50, restarted_at=30)
    figures = curve_charts({"a": log})
    assert list(figures) == ["loss", "learning-rate", "throughput", "grad-norm"]
    logged, course, evaluated = figures["loss"]["data"]
    assert logged["x"] == list(range(1, 51)) and logged["y"] == [line["loss"] for line in log if "loss" in line]
    assert course["hoverinfo"] == "skip"
    assert evaluated["x"] == [20, 40]
    assert [shape["x0"] for shape in figures["loss"]["layout"]["shapes"]] == [30]


def test_few_points_are_each_shown() -> None:
    (trace,) = curve_charts({"a": lines(5)})["loss"]["data"]
    assert trace["mode"] == "lines+markers" and len(trace["x"]) == 5


def test_a_metric_that_no_run_has_gets_no_figure() -> None:
    assert list(curve_charts({"a": [{"current_steps": 1, "loss": 1.0}], "b": [{"current_steps": 1, "lr": 1.0}]})) == [
        "loss",
        "learning-rate",
    ]


def test_values_that_are_not_numbers_are_left_out_and_the_json_is_strict() -> None:
    log = lines(40)
    log[10]["loss"], log[11]["grad_norm"] = math.nan, math.inf
    gap = [{**line, "current_steps": line["current_steps"] * 1000} for line in lines(3)]
    figures = curve_charts({"a": log + gap})
    assert len(figures["loss"]["data"][0]["x"]) == 42
    assert None in figures["loss"]["data"][1]["y"], "nothing is made up where nothing was logged"
    json.dumps(figures, allow_nan=False)


def test_the_smoothed_course_has_a_hole_where_nothing_is_near() -> None:
    with np.errstate(all="raise"):
        _, course = smoothed([1, 2, 3, 100], [1.0, 1.0, 1.0, 2.0])
    assert course[0] == pytest.approx(1) and math.isnan(course[150]) and course[-1] == 2


def test_of_many_points_the_extremes_are_kept() -> None:
    values = [math.sin(index / 1000) for index in range(100_000)]
    values[54_321] = 9.0
    values[66_666] = -9.0
    steps, kept = thinned(range(100_000), values)
    assert len(steps) <= MAX_POINTS + 2 and steps == sorted(set(steps))
    assert dict(zip(steps, kept, strict=True)).items() >= {54_321: 9.0, 66_666: -9.0, 0: values[0], 99_999: values[-1]}.items()


def test_the_legend_names_only_what_is_there() -> None:
    evaluated, plain = lines(50, restarted_at=30), lines(5)
    assert [key.label for key in curve_keys({"a": evaluated})] == ["training", "evaluation", "restart"]
    assert [key.label for key in curve_keys({"a": evaluated, "b": plain})] == ["a", "b", "evaluation", "restart"]
    assert [key.label for key in curve_keys({"b": plain})] == ["training"]


def test_among_many_spans_saves_too_short_to_be_seen_are_part_of_the_training() -> None:
    def saves(seconds: float) -> list[Span]:
        found = [Span("getting ready", 0, 10, 0, "loading")]
        for _ in range(MAX_SPANS):
            start = found[-1].end
            found += [
                Span("training", start, start + 10, 0, "training"),
                Span("saving", start + 10, start + 10 + seconds, 0, "saving"),
            ]
        return [*found, Span("restarting", found[-1].end, found[-1].end + 1, 0, "restarting")]

    ready, training, restart = legible(saves(0.5))
    assert (ready.kind, training.kind, training.start, training.end, restart.kind) == (
        "getting ready",
        "training",
        10,
        10 + MAX_SPANS * 10.5,
        "restarting",
    )
    assert legible(saves(5)) == saves(5) and legible(saves(0.5)[:20]) == saves(0.5)[:20]


def test_the_figures_are_what_plotly_knows(tmp_path: Path) -> None:
    """Its Python side refuses a property that its JavaScript side would pass over in silence."""
    read = read_run("a", write_run(tmp_path / "run", lines(60, restarted_at=30), ATTEMPTS))
    time_line = timeline_chart({"a": spans(read.attempts, 0), "b": []})
    assert time_line is not None
    for figure in [*curve_charts({"a": read.log, "b": lines(5)}).values(), time_line]:
        go.Figure(figure)


def test_the_time_line_as_bars(tmp_path: Path) -> None:
    read = read_run("a", write_run(tmp_path / "run", lines(60), ATTEMPTS))
    figure = timeline_chart({"a": spans(read.attempts, 0)})
    assert figure is not None
    bars = {trace["name"]: trace for trace in figure["data"]}
    assert list(bars) == ["getting ready", "training", "evaluating", "saving", "finishing", "restarting", "suspended"]
    assert bars["saving"]["base"] == [20] and bars["saving"]["x"] == [2]
    assert bars["suspended"]["customdata"] == [[1, "suspended, preempted or stopped", "40 s", "2023-11-14 22:14:10 UTC"]]
    assert figure["layout"]["xaxis"]["title"]["text"] == "seconds since the run began"
    assert timeline_chart({"a": []}) is None


def test_times_in_words() -> None:
    assert clock(BEGAN) == "2023-11-14 22:13:20 UTC"
    told = {0.042: "0.042 s", 9.94: "9.9 s", 59: "59 s", 60: "1 min", 200: "3 min 20 s", 18_120: "5 h 2 min", 273_600: "3 d 4 h"}
    assert {seconds: duration(seconds) for seconds in told} == told


def test_a_folder_without_a_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(NothingLogged, match="Nothing has been logged yet in"):
        read_run("a", write_run(tmp_path / "run", []))


def test_a_job_file_that_cannot_be_read_is_told_in_the_report(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", lines(3))
    (folder / "finetunejob.yaml").write_text("kind: Nonsense")
    run = read_run("a", folder)
    assert run.manifest == {} and "Nonsense" in run.unreadable and run.job == "a"
    (folder / "finetunejob.yaml").unlink()
    assert "finetunejob.yaml" in read_run("a", folder).unreadable
