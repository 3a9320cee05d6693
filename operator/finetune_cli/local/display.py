"""What a run looks like outside a terminal: plain lines for CI logs, or a JSON object a line for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from finetune_api.contract import Progress
from finetune_cli import format as text
from finetune_cli.local import events
from finetune_cli.local.outcome import Outcome
from finetune_cli.local.summary import as_json, as_text
from finetune_cli.progress_text import news

Write = Callable[[str], None]
#: Phases that come and go with every step; what they did is told by the line after them.
_STEADY = ("training", "evaluating", "saving")
_MESSAGE_SECONDS = 5.0


class Display(Protocol):
    """Shows a run while it lasts. A context manager: leaving it gives the terminal back."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def show(self, event: events.Event) -> None:
        """Something has happened."""

    def finish(self, outcome: Outcome, numbers: Mapping[str, Any], output: Path) -> None:
        """The run is over; called after the context was left."""


class _Lines:
    """A display that needs nothing set up or put away."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None


class JsonDisplay(_Lines):
    """One JSON object a line; the last one is the summary."""

    def show(self, event: events.Event) -> None:
        """Write the event; the nodes' output is in files and is left out."""
        if fields := _fields(event):
            self._write(json.dumps(fields))

    def finish(self, outcome: Outcome, numbers: Mapping[str, Any], output: Path) -> None:
        """Write the summary."""
        self._write(json.dumps(as_json(outcome, numbers, output)))


def _fields(event: events.Event) -> dict[str, Any] | None:
    match event:
        case events.RunStarted(job, output, layout, saved):
            place = {"nodes": layout.nodes, "processesPerNode": layout.processes_per_node, "gpus": len(layout.gpus)}
            return {"event": "runStarted", "job": job, "output": str(output), **place, "savedStep": saved}
        case events.AttemptStarted(attempt, logs):
            return {"event": "attemptStarted", "attempt": attempt, "logs": str(logs)}
        case events.Progressed(progress):
            return {"event": "progress", **progress.model_dump(by_alias=True, exclude_none=True)}
        case events.Noted(note):
            return {"event": "note", "text": note}
        case events.AttemptEnded(attempt, decision, message, restarts, delay):
            what = {"action": decision.action, "reason": decision.reason, "message": message}
            return {"event": "attemptEnded", "attempt": attempt, **what, "restarts": restarts, "retryInSeconds": delay}
        case events.Logged():
            return None


class PlainDisplay(_Lines):
    """A line when something has changed: a logged step, an evaluation, a checkpoint, another phase."""

    def __init__(self, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(write)
        self._clock, self._start = clock, clock()
        self._last = Progress()
        self._told_message_at = float("-inf")

    def show(self, event: events.Event) -> None:
        """Write what is new, if anything is."""
        for line in self._lines(event):
            self._write(f"[{text.duration(self._clock() - self._start):>6}] {line}")

    def finish(self, outcome: Outcome, numbers: Mapping[str, Any], output: Path) -> None:
        """Write the last words."""
        self._write(as_text(outcome, numbers, output))

    def _lines(self, event: events.Event) -> list[str]:
        match event:
            case events.RunStarted():
                return [started(event)]
            case events.Progressed(progress):
                before, self._last = self._last, progress
                return self._changes(before, progress)
            case events.Noted(note):
                return [note]
            case events.AttemptEnded():
                self._last = Progress()
                return retry_lines(event)
            case events.AttemptStarted(attempt, logs):
                return [f"attempt {attempt} started, output in {text.place(logs)}"]
            case events.Logged():
                return []

    def _changes(self, before: Progress, now: Progress) -> list[str]:
        lines = news(before, now)
        if not lines and self._worth_telling(before, now):
            lines.append(f"{now.phase}: {now.message}" if now.message else now.phase)
        return lines

    def _worth_telling(self, before: Progress, now: Progress) -> bool:
        """Another phase at once; another message of the same phase (a download) every few seconds."""
        if now.phase in _STEADY and before.phase in _STEADY:
            return False
        elapsed = self._clock() - self._told_message_at
        if now.phase == before.phase and (now.message == before.message or elapsed < _MESSAGE_SECONDS):
            return False
        self._told_message_at = self._clock()
        return True


def started(event: events.RunStarted) -> str:
    """The first line of a run."""
    saved = f", continuing from step {event.saved_step}" if event.saved_step is not None else ""
    return f"{event.job} on {event.layout} -> {text.place(event.output)}{saved}"


def retry_lines(event: events.AttemptEnded) -> list[str]:
    """What is said between two attempts; the end of the last one is told by the last words."""
    if event.decision.action != "retry":
        return []
    what = f"restart {event.restarts}" if event.decision.charged else "starting again"
    cause = event.message.splitlines()[:1] or [event.decision.reason]
    when = f" in {text.duration(event.delay)}" if event.delay >= 1 else ""
    return [f"attempt {event.attempt} ended ({event.decision.reason}): {cause[0]}", f"{what}{when}"]
