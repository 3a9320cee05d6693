"""The view of a run in a terminal: a bar, the measured values, the shape of the loss and the last lines of output."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.text import Text

from finetune_api.contract import Progress
from finetune_cli import format as text
from finetune_cli.local import events
from finetune_cli.local.display import retry_lines, started
from finetune_cli.local.outcome import Outcome
from finetune_cli.local.summary import as_text
from finetune_cli.progress_view import LossCurve, bar, values

_LOG_LINES = 8


class RunView:
    """What is known of the run, and how it looks now. Knows no terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start = clock, clock()
        self._heading = ""
        self._attempt = self._restarts = 0
        self._progress = Progress()
        self._told_at = self._start
        self._curve = LossCurve()
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._nodes = 1

    def apply(self, event: events.Event) -> None:
        """Take in what has happened."""
        match event:
            case events.RunStarted(layout=layout):
                self._heading, self._nodes = started(event), layout.nodes
            case events.AttemptStarted(attempt):
                self._attempt, self._progress = attempt, Progress()
            case events.Progressed(progress):
                self._curve.add(progress)
                self._progress, self._told_at = progress, self._clock()
            case events.Logged(node, lines):
                prefix = f"node {node} | " if self._nodes > 1 else ""
                self._lines.extend(f"{prefix}{line}" for line in lines if line.strip())
            case events.AttemptEnded(restarts=restarts):
                self._restarts = restarts

    def __rich__(self) -> RenderableType:
        now, heading = self._progress, Text(self._heading, style="bold")
        parts: list[RenderableType] = [heading, bar(now, self._clock() - self._told_at), values(now, self._curve), self._facts()]
        if self._lines:
            parts.append(Rule("output", style="dim", align="left"))
            parts += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines]
        return Group(*parts)

    def _facts(self) -> RenderableType:
        facts = [f"elapsed {text.duration(self._clock() - self._start)}", f"attempt {self._attempt}", f"restarts {self._restarts}"]
        if self._progress.last_checkpoint_step is not None:
            facts.append(f"last checkpoint {self._progress.last_checkpoint_step}")
        return Text(" · ".join([*facts, "Ctrl-C saves and stops"]), style="dim")


class LiveDisplay:
    """Draws the view a few times a second; what must not be missed scrolls by above it and stays."""

    def __init__(self, console: Console) -> None:
        self._console, self._view = console, RunView()
        self._live = Live(self._view, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, event: events.Event) -> None:
        """Take in the event; notes and restarts are printed as well."""
        self._view.apply(event)
        match event:
            case events.Noted(note):
                self._print(note, style="yellow")
            case events.AttemptEnded():
                for line in retry_lines(event):
                    self._print(line, style="yellow")

    def finish(self, outcome: Outcome, numbers: Mapping[str, Any], output: Path) -> None:
        """Print the last words."""
        self._print(as_text(outcome, numbers, output))

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
