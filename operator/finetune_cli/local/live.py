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
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from finetune_api.contract import Progress
from finetune_cli import format as text
from finetune_cli.local import events
from finetune_cli.local.display import retry_lines, started
from finetune_cli.local.outcome import Outcome
from finetune_cli.local.summary import as_text

_LOG_LINES = 8
_SPARK_WIDTH = 24


class RunView:
    """What is known of the run, and how it looks now. Knows no terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start = clock, clock()
        self._heading = ""
        self._attempt = self._restarts = 0
        self._progress = Progress()
        self._told_at = self._start
        self._losses: dict[int, float] = {}
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
                if progress.loss not in (None, self._progress.loss):  # The steps between two logged ones repeat the last loss.
                    self._losses[progress.step or 0] = progress.loss
                self._progress, self._told_at = progress, self._clock()
            case events.Logged(node, lines):
                prefix = f"node {node} | " if self._nodes > 1 else ""
                self._lines.extend(f"{prefix}{line}" for line in lines if line.strip())
            case events.AttemptEnded(restarts=restarts):
                self._restarts = restarts

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [Text(self._heading, style="bold"), self._bar(), self._values(), self._facts()]
        if self._lines:
            parts.append(Rule("output", style="dim", align="left"))
            parts += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines]
        return Group(*parts)

    def _bar(self) -> RenderableType:
        now = self._progress
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(no_wrap=True)
        if not now.total_steps:
            row.add_row(Text.assemble((now.phase, "cyan"), f"  {now.message}"))
            return row
        step = now.step or 0
        row.add_column(ratio=1)
        row.add_column(justify="right", no_wrap=True)
        eta = f"  ETA {text.duration(now.eta_seconds - (self._clock() - self._told_at))}" if now.eta_seconds is not None else ""
        counted = f"{step}/{now.total_steps}  {step / now.total_steps:.0%}{eta}"
        row.add_row(Text(now.phase, style="cyan"), ProgressBar(total=now.total_steps, completed=step), counted)
        return row

    def _values(self) -> RenderableType:
        now = self._progress
        values = [
            ("loss", text.loss, now.loss),
            ("eval loss", text.loss, now.eval_loss),
            ("lr", text.rate, now.learning_rate),
            ("grad norm", text.loss, now.grad_norm),
        ]
        shown = Text()
        for name, form, value in values:
            if value is not None:
                shown.append(f"{name} ", style="dim").append(form(value), style="bold").append("  ")
                if name == "loss" and len(self._losses) > 2:
                    curve = [self._losses[step] for step in sorted(self._losses)]
                    shown.append(text.sparkline(curve, _SPARK_WIDTH), style="green").append("  ")
        if now.tokens_per_second is not None:
            shown.append(text.speed(now.tokens_per_second), style="bold")
        return shown

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
