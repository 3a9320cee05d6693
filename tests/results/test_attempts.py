"""The record of attempts: what a launcher writes is read back, whatever a kill has left of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from finetune_api.contract import ATTEMPTS_FILE, LOG_FILE, STATE_DIR, ExitCode, Phase, Progress
from finetune_trainer.results.attempts import AttemptLog, read_attempts
from results.runs import BEGAN, begun, phase, write_run


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [])


def record(output: Path, attempt: int, *phases: Phase) -> AttemptLog:
    log = AttemptLog(output, attempt)
    log.begin()
    for step, name in enumerate(phases):
        log.note(Progress(phase=name, step=step))
    return log


def test_an_attempt_is_read_back(output: Path) -> None:
    before = time.time()
    log = record(output, 3, "starting", "training", "training", "saving", "training")
    log.end(ExitCode.PREEMPTED, "Stopped", "Saved.", 4)
    (attempt,) = read_attempts(output)
    assert attempt.number == 3 and before - 0.001 <= attempt.begun <= attempt.last_seen <= time.time() + 0.001
    assert [(name, step) for _, name, step in attempt.phases] == [
        ("starting", None),
        ("training", 1),
        ("saving", 3),
        ("training", 4),
    ]
    assert attempt.end is not None
    assert (attempt.end.exit_code, attempt.end.reason, attempt.end.message, attempt.end.step) == (77, "Stopped", "Saved.", 4)


def test_a_killed_attempt_is_ended_by_the_next_one_at_the_last_line_of_the_log(tmp_path: Path) -> None:
    output = write_run(tmp_path / "run", [], [begun(0, 0), phase(0, 5, "training")])
    os.utime(output / LOG_FILE, (BEGAN + 60, BEGAN + 60))
    record(output, 1)
    killed, current = read_attempts(output)
    assert killed.end is not None and current.end is None
    assert (killed.end.reason, killed.end.exit_code, killed.end.time) == ("Killed", None, BEGAN + 60)


def test_a_line_that_was_cut_short_spoils_no_other(output: Path) -> None:
    record(output, 0, "training")
    with (output / STATE_DIR / ATTEMPTS_FILE).open("a") as file:
        file.write('{"event": "phase", "att')
    record(output, 1, "loading").end(ExitCode.OK, "Completed", "", 9)
    assert [(each.number, each.end.reason if each.end else None) for each in read_attempts(output)] == [
        (0, "Killed"),
        (1, "Completed"),
    ]


@pytest.mark.parametrize("line", ["[1]", '{"event": "begun"}', '"x"', "\x00\xff", '{"event": "ended", "attempt": 0, "time": 1}'])
def test_what_is_no_record_is_passed_over(output: Path, line: str) -> None:
    record(output, 0)
    with (output / STATE_DIR / ATTEMPTS_FILE).open("a") as file:
        file.write(line + "\n")
    assert [each.number for each in read_attempts(output)] == [0]


def test_a_writer_that_was_replaced_changes_nothing(output: Path) -> None:
    old = record(output, 0, "training")
    record(output, 1, "training")
    old.note(Progress(phase="saving"))
    old.end(ExitCode.FENCED, "Fenced", "", None)
    first, second = read_attempts(output)
    assert first.end is not None and first.end.reason == "Killed"
    assert second.end is None and [name for _, name, _ in second.phases] == ["starting", "training"]


def test_a_pod_that_was_replaced_in_its_attempt_does_not_end_it(output: Path) -> None:
    old = record(output, 0, "training")
    record(output, 0, "training")
    old.end(ExitCode.FENCED, "Fenced", "", None)
    assert read_attempts(output)[-1].end is None


def test_nothing_is_written_before_the_fence_is_passed(output: Path) -> None:
    log = AttemptLog(output, 0)
    log.note(Progress(phase="training"))
    log.end(ExitCode.USER_ERROR, "OutputNotOurs", "", None)
    assert (output / STATE_DIR / ATTEMPTS_FILE).read_text() == "" and read_attempts(output) == []


def test_a_disk_that_takes_nothing_does_not_stop_the_attempt(tmp_path: Path) -> None:
    record(tmp_path / "absent", 0, "training").end(ExitCode.OK, "Completed", "", 1)
