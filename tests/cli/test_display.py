"""What a run looks like: plain lines, JSON lines, the view of a terminal, the last words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from finetune_api.contract import Progress
from finetune_api.restart import Decision
from finetune_cli import format
from finetune_cli.local import events
from finetune_cli.local.display import JsonDisplay, PlainDisplay
from finetune_cli.local.environment import Layout
from finetune_cli.local.live import RunView
from finetune_cli.local.nodes import LogTail
from finetune_cli.local.outcome import Outcome
from finetune_cli.local.summary import as_json, as_text
from finetune_trainer.results.key_figures import key_figures

TRAINING = Progress(
    phase="training", step=10, total_steps=200, loss=2.25, learning_rate=2e-4, tokens_per_second=8120, eta_seconds=190
)
STORY: list[tuple[float, events.Event]] = [
    (0, events.RunStarted("tiny", Path("/out"), Layout(2, 1), 40)),
    (0, events.AttemptStarted(3, Path("/out/logs/attempt-3"))),
    (1, events.Progressed(Progress(phase="downloading", message="model 0.1/4.8 GB"))),
    (2, events.Progressed(Progress(phase="downloading", message="model 0.2/4.8 GB"))),
    (9, events.Progressed(Progress(phase="downloading", message="model 4.8/4.8 GB"))),
    (10, events.Noted("Warning: 3 samples were truncated.")),
    (12, events.Progressed(Progress(phase="training", step=1, total_steps=200))),
    (20, events.Logged(1, ("a line of output",))),
    (62, events.Progressed(TRAINING)),
    (63, events.Progressed(TRAINING.model_copy(update={"step": 11}))),
    (64, events.Progressed(TRAINING.model_copy(update={"step": 11, "phase": "evaluating"}))),
    (70, events.Progressed(TRAINING.model_copy(update={"step": 11, "eval_loss": 2.5}))),
    (75, events.Progressed(TRAINING.model_copy(update={"step": 20, "loss": 1.5, "eval_loss": 2.5, "last_checkpoint_step": 20}))),
    (80, events.AttemptEnded(3, Decision("retry", True, "Failed"), "Rank 1 was killed.\nMore.", 1, 2.0)),
]
PLAIN = """\
[    0s] tiny on 2 nodes x 1 process (CPU) -> /out, continuing from step 40
[    0s] attempt 3 started, output in /out/logs/attempt-3
[    1s] downloading: model 0.1/4.8 GB
[    9s] downloading: model 4.8/4.8 GB
[   10s] Warning: 3 samples were truncated.
[   12s] training
[ 1m02s] step  10/200  loss 2.2500  lr 2.00e-04  8,120 tokens/s  ETA 3m10s
[ 1m10s] eval loss 2.5000
[ 1m15s] step  20/200  loss 1.5000  lr 2.00e-04  8,120 tokens/s  ETA 3m10s
[ 1m15s] checkpoint at step 20
[ 1m20s] attempt 3 ended (Failed): Rank 1 was killed.
[ 1m20s] restart 1 in 2s"""
LOG = [
    {"current_steps": 1, "total_steps": 20, "loss": 2.5, "throughput": 90.0},
    {"current_steps": 10, "total_steps": 20, "loss": 2.0, "throughput": 800.0},
    {"current_steps": 20, "total_steps": 20, "loss": 1.5, "throughput": 810.0},
    {"current_steps": 20, "total_steps": 20, "eval_loss": 1.75},
]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines() -> None:
    clock, lines = Clock(), list[str]()
    display = PlainDisplay(lines.append, clock)
    for clock.now, event in STORY:
        display.show(event)
    assert "\n".join(lines) == PLAIN


def test_each_event_is_one_json_object_and_output_is_left_out() -> None:
    lines = list[str]()
    display = JsonDisplay(lines.append)
    for _, event in STORY:
        display.show(event)
    display.finish(Outcome("done", seconds=3.14159, attempts=1), key_figures(LOG), Path("/out"))
    told = [json.loads(line) for line in lines]
    assert len(told) == len(STORY)  # One event is output, and the summary comes on top.
    assert told[8] == {
        "event": "progress",
        "phase": "training",
        "message": "",
        "attempt": 0,
        "step": 11,
        "totalSteps": 200,
        "updatedAt": 0.0,
        "loss": 2.25,
        "learningRate": 2e-4,
        "tokensPerSecond": 8120.0,
        "etaSeconds": 190.0,
    }
    assert told[-1] == {
        "event": "summary",
        "state": "done",
        "exitCode": 0,
        "output": "/out",
        "seconds": 3.14,
        "attempts": 1,
        "restarts": 0,
        "step": 20,
        "totalSteps": 20,
        "firstLoss": 2.5,
        "lastLoss": 1.5,
        "evalLoss": 1.75,
        "tokensPerSecond": 800.0,
    }


@pytest.mark.parametrize("width", [60, 110])
def test_the_view_of_a_terminal(width: int) -> None:
    clock = Clock()
    view = RunView(clock)
    for clock.now, event in STORY[:-1]:
        view.apply(event)
    view.apply(events.Progressed(TRAINING.model_copy(update={"step": 30, "loss": 1.25, "grad_norm": 0.5})))
    view.apply(events.Logged(0, tuple(f"line {index}" for index in range(20))))
    clock.now = 85
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view)
    shown = console.export_text()
    assert "30/200  15%  ETA 3m00s" in shown  # Ten seconds after it was told.
    assert "loss 1.2500  █▃▁  " in shown
    assert "grad norm 0.5000" in shown
    assert "elapsed 1m25s · attempt 3 · restarts 0" in shown
    assert "node 0 | line 19" in shown and "node 0 | line 12" in shown and "line 11" not in shown
    assert max(map(len, shown.splitlines())) <= width


def test_last_words() -> None:
    output, numbers = Path("/nowhere/out"), key_figures(LOG)
    done = as_text(Outcome("done", seconds=200), numbers, output)
    assert done.startswith("\nDone in 3m20s, 20 steps, loss 2.5000 -> 1.5000, eval loss 1.7500, 800 tokens/s\n")
    assert done.endswith("finetune chat /nowhere/out")
    assert "--fresh" in as_text(Outcome("complete"), numbers, output)
    stopped = as_text(
        Outcome("stopped", "Stopped", saved_step=8, logs=output / "logs", seconds=3), {"step": 9, "totalSteps": 20}, output
    )
    assert stopped.startswith("\nStopped after 3s, step 9 of 20, checkpoint at step 8\n")
    assert "run the same command again" in stopped
    assert "nothing was saved yet" in as_text(Outcome("stopped"), {}, output)
    failed = as_text(Outcome("failed", "DiskFull", "No space left.", logs=output / "logs"), {}, output)
    assert failed.startswith("\nFailed after 0s: DiskFull\n\nNo space left.\n")
    assert "/nowhere/out/logs" in failed


def test_the_summary_of_a_failure_keeps_reason_and_message() -> None:
    summary = as_json(Outcome("failed", "DiskFull", "No space left.", saved_step=3), {}, Path("/nowhere"))
    assert (summary["exitCode"], summary["reason"], summary["message"], summary["savedStep"]) == (
        1,
        "DiskFull",
        "No space left.",
        3,
    )
    assert "plot" not in summary


def test_numbers_as_people_read_them() -> None:
    assert [format.duration(value) for value in (-1, 45.4, 192, 7500, 273_600)] == ["0s", "45s", "3m12s", "2h05m", "3d04h"]
    assert [format.size(value) for value in (812, 4100, 1.2e9, 5e13)] == ["812 B", "4.1 kB", "1.2 GB", "50.0 TB"]
    assert (format.loss(1.23456), format.loss(0.0001), format.loss(0)) == ("1.2346", "1.00e-04", "0.0000")
    assert format.sparkline([3, 3, 2, 2, 1, 1], 3) == "█▅▁"
    assert format.sparkline([1, 1], 8) == "▁▁"


def test_a_log_is_read_in_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "node-0.log"
    path.write_bytes(b"one\ntw")
    tail = LogTail(path)
    assert tail.read() == ("one",)
    with path.open("ab") as file:
        file.write(b"o\n 10%\r 50%\r100%\r\n\xff\n")
    assert tail.read() == ("two", "100%", "\ufffd")
    assert tail.read() == ()
