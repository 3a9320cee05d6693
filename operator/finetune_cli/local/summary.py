"""What a run came to, read from its log: the last words on the screen and the last line of --json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune_api import contract as c
from finetune_cli import format as text
from finetune_cli.local.outcome import EXIT_CODES, Outcome


def as_json(outcome: Outcome, numbers: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """The summary object of --json."""
    plot, report = output / c.PLOT_FILE, output / c.REPORT_FILE
    fields = {
        "event": "summary",
        "state": outcome.state,
        "exitCode": EXIT_CODES[outcome.state],
        "reason": outcome.reason or None,
        "message": outcome.message or None,
        "output": str(output),
        "seconds": round(outcome.seconds, 2),
        "attempts": outcome.attempts,
        "restarts": outcome.restarts,
        "savedStep": outcome.saved_step,
        "plot": str(plot) if plot.exists() else None,
        "report": str(report) if report.exists() else None,
        "logs": str(outcome.logs) if outcome.logs else None,
    }
    return {name: value for name, value in fields.items() if value is not None} | dict(numbers)


def as_text(outcome: Outcome, numbers: Mapping[str, Any], output: Path) -> str:
    """The last words on the screen."""
    took = text.duration(outcome.seconds)
    steps = f"step {numbers['step']} of {numbers['totalSteps']}" if {"step", "totalSteps"} <= numbers.keys() else ""
    logs = [f"  output     {text.place(outcome.logs)}"] if outcome.logs else []
    match outcome.state:
        case "done":
            lines = ["", ", ".join([f"Done in {took}", *_measured(numbers)]), "", *_places(output)]
        case "complete":
            again = "  again      the same command with --fresh (deletes this result)"
            lines = [", ".join(["This run is already complete", *_measured(numbers)]), "", *_places(output), again]
        case "stopped":
            saved = "nothing was saved yet" if outcome.saved_step is None else f"checkpoint at step {outcome.saved_step}"
            first = ", ".join(filter(None, [f"Stopped after {took}", steps, saved]))
            lines = ["", first, "", "  continue   run the same command again", *logs]
        case _:
            first = ", ".join(filter(None, [f"Failed after {took}", steps])) + f": {outcome.reason}"
            lines = ["", first, "", outcome.message, "", *logs]
    return "\n".join(lines)


def _measured(numbers: Mapping[str, Any]) -> list[str]:
    parts = []
    if "step" in numbers:
        parts.append(f"{numbers['step']} steps")
    if "firstLoss" in numbers:
        parts.append(f"loss {text.loss(numbers['firstLoss'])} -> {text.loss(numbers['lastLoss'])}")
    if "evalLoss" in numbers:
        parts.append(f"eval loss {text.loss(numbers['evalLoss'])}")
    if "tokensPerSecond" in numbers:
        parts.append(text.speed(numbers["tokensPerSecond"]))
    return parts


def _places(output: Path) -> list[str]:
    places = [("result", output), ("report", output / c.REPORT_FILE), ("plot", output / c.PLOT_FILE), ("log", output / c.LOG_FILE)]
    shown = [f"  {name:<10} {text.place(path)}" for name, path in places if path.exists()]
    return [*shown, f"  try it     finetune chat {text.place(output)}"]
