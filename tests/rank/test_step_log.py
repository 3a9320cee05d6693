"""trainer_log.jsonl: windows, and what is kept on resume."""

import time
from itertools import pairwise
from pathlib import Path

from finetune_trainer.rank.step_log import StepLog
from finetune_trainer.results.log import read_log


def logged(path: Path, steps: range, attempt: int = 0) -> StepLog:
    log = StepLog(path, attempt, total_steps=10)
    log.continue_after(steps.start - 1)
    for step in steps:
        log.window.add(step, samples=2, tokens=10, digest=step)
        log.write(step, step / 5, {"loss": 1.0 / step})
    return log


def test_lines_after_the_checkpoint_are_done_again_not_twice(tmp_path: Path) -> None:
    path = tmp_path / "trainer_log.jsonl"
    logged(path, range(1, 8))
    logged(path, range(5, 11), attempt=1)
    lines = read_log(tmp_path)
    assert [line["current_steps"] for line in lines] == list(range(1, 11))
    assert [line["attempt"] for line in lines] == [0] * 4 + [1] * 6
    assert [line["total_tokens"] for line in lines] == [10 * n for n in range(1, 11)]
    assert all(a["elapsed_time"] <= b["elapsed_time"] for a, b in pairwise(lines))


def test_a_window_spans_the_steps_since_the_last_loss(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "log", 0, total_steps=10, _window_started=time.monotonic() - 6)
    for step in (1, 2, 3):
        log.window.add(step, samples=2, tokens=10, digest=step)
    log.write(3, 0.3, {"eval_loss": 2.0})
    line = log.write(3, 0.3, {"loss": 1.0})
    assert (line["first_step"], line["samples"], line["sample_digest"]) == (1, 6, f"{1 + 2 + 3:x}")
    assert 2 <= line["step_time"] < 3
    log.window.add(4, samples=2, tokens=10, digest=4)
    assert log.write(4, 0.4, {"loss": 1.0})["first_step"] == 4
