"""How a job on a cluster looks while it is followed: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from finetune_api.contract import Progress
from finetune_cli.cluster.explain import failing, silent
from finetune_cli.cluster.facts import JobFacts
from finetune_cli.progress_text import measures, news, step
from finetune_cli.progress_view import LossCurve, bar, values


class Display(Protocol):
    """Shows a job while it is followed. A context manager: leaving it gives the terminal back."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def show(self, job: JobFacts) -> None:
        """The job as it is now."""


class PlainDisplay:
    """A line when something has changed."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._before: JobFacts | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def show(self, job: JobFacts) -> None:
        """Write what is new."""
        for line in changes(self._before, job):
            self._write(f"{time.strftime('%H:%M:%S')} {line}")
        self._before = job


class LiveDisplay:
    """Draws the view a few times a second."""

    def __init__(self, console: Console) -> None:
        self._view = JobView()
        self._live = Live(self._view, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, job: JobFacts) -> None:
        """Draw it from now on."""
        self._view.job = job


class JobView:
    """The job as it was told last. Knows no terminal."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._curve = LossCurve()
        self._job: JobFacts | None = None

    @property
    def job(self) -> JobFacts | None:
        """The job that is shown."""
        return self._job

    @job.setter
    def job(self, job: JobFacts) -> None:
        self._job = job
        if job.status.progress is not None:
            self._curve.add(job.status.progress)

    def __rich__(self) -> RenderableType:
        job = self._job
        if job is None:
            return Text("")
        status = job.status
        heading = Text.assemble(
            (f"{job.name} in {job.namespace}", "bold"), "  ", (status.phase, _COLOURS.get(status.phase, "yellow"))
        )
        parts: list[RenderableType] = [heading]
        if status.progress is not None:
            age = max(0.0, self._clock() - status.progress.updated_at) if status.progress.updated_at else 0.0
            parts += [bar(status.progress, age if status.phase == "Running" else 0.0), values(status.progress, self._curve)]
        if sentence := standing(job, self._clock()):
            parts.append(Text(sentence, style="yellow" if status.phase != "Running" else ""))
        return Group(*parts, Text(self._facts(job), style="dim"))

    def _facts(self, job: JobFacts) -> str:
        status = job.status
        facts = [f"attempt {status.attempt}", f"restarts {status.restarts} of {job.max_restarts}"]
        if status.nodes is not None:
            facts.insert(0, f"nodes {status.nodes.ready}/{status.nodes.desired}")
        if status.progress is not None and status.progress.last_checkpoint_step is not None:
            facts.append(f"last checkpoint {status.progress.last_checkpoint_step}")
        return " · ".join([*facts, "Ctrl-C leaves, the job goes on"])


_COLOURS = {"Running": "green", "Succeeded": "green", "Failed": "red"}


def standing(job: JobFacts, now: float) -> str:
    """Where the job stands, in a sentence."""
    if silent(job, now) and (wrong := failing(job, now)):
        return wrong.message
    return job.status.message if job.seen else "Submitted; waiting for the operator."


def changes(before: JobFacts | None, job: JobFacts) -> list[str]:
    """Lines for what is new since `before`."""
    old = before.status if before else None
    status, lines = job.status, []
    if old is not None and status.last_failure is not None and status.last_failure != old.last_failure:
        lines.append(f"attempt {old.attempt}: {status.last_failure.reason}: {status.last_failure.message}")
    if before is None or (job.seen, status.phase, status.attempt) != (before.seen, before.status.phase, before.status.attempt):
        lines.append(f"{status.phase} (attempt {status.attempt}): {standing(job, 0.0)}")
    elif old is not None and status.message != old.message and status.phase != "Failed":
        lines.append(status.message)
    known = old.progress if old is not None and old.progress is not None else Progress()
    if status.progress is not None:
        lines += news(known, status.progress)
    return [line for line in lines if line]


def last_words(job: JobFacts, command: str) -> str:
    """What is said when a job that was followed has finished."""
    status, progress = job.status, job.status.progress
    lines = ["", f"{job.name} {'has succeeded' if status.phase == 'Succeeded' else 'has failed'}. {status.message}"]
    if progress is not None and progress.loss is not None:
        lines.append("  ".join([step(progress), *measures(progress.model_copy(update={"eta_seconds": None}))]))
    where = f"{job.name} -n {job.namespace}"
    if status.phase == "Succeeded":
        lines += ["", f"  fetch it   {command} pull {where}", f"  try it     {command} chat {where}"]
    else:
        lines += ["", f"  why        {command} describe {where}", f"  log        {command} logs {where}"]
    return "\n".join(lines)


def display(plain: bool) -> Display:
    """The display that fits the terminal."""
    console = Console()
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainDisplay(lambda line: print(line, flush=True))
    return LiveDisplay(console)
