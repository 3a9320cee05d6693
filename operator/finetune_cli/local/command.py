"""From the options of `finetune run` to its exit code: check everything, take the folder, run, say what came of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from finetune_api.load import load_job
from finetune_api.problems import SpecErrors
from finetune_api.spec import FineTuneJob
from finetune_cli import format as text
from finetune_cli.local import events
from finetune_cli.local.cluster_only import refuse_cluster_only
from finetune_cli.local.display import Display, JsonDisplay, PlainDisplay
from finetune_cli.local.environment import Layout, choose_layout
from finetune_cli.local.folder import delete, deletions, refusal, write_run
from finetune_cli.local.gpus import visible_gpus
from finetune_cli.local.live import LiveDisplay
from finetune_cli.local.lock import folder_lock
from finetune_cli.local.mounts import mount_problems, parse_mounts
from finetune_cli.local.outcome import EXIT_CODES, Outcome
from finetune_cli.local.resolve import resolve
from finetune_cli.local.runner import LAUNCHER, LocalRun, run_attempts
from finetune_cli.local.stop import stop_on_signals
from finetune_trainer.errors import UserError
from finetune_trainer.results.earlier_run import Refused, inspect, judge
from finetune_trainer.results.key_figures import key_figures
from finetune_trainer.results.log import read_log
from finetune_trainer.results.resolved_job import write_resolved_job


@dataclass(frozen=True)
class Options:
    """What was written on the command line."""

    job_file: Path
    output: Path | None = None
    mounts: Sequence[str] = ()
    overrides: Sequence[str] = ()
    fresh: bool = False
    yes: bool = False
    json: bool = False
    plain: bool = False


@dataclass(frozen=True)
class _Request:
    """A run that was asked for and is sound as far as the job alone can tell."""

    job: FineTuneJob
    job_dir: Path
    output: Path
    layout: Layout
    mounts: dict[str, str]


def run_job(options: Options, command: Sequence[str] = LAUNCHER) -> int:
    """Run the job. Returns the exit code; everything worth saying has been said.

    Args:
        command: argv of a node's launcher.
    """
    display = _display(options)
    started = time.monotonic()
    output = options.output or Path("runs")
    try:
        request = _request(options)
        output = request.output
        with _owned(request, options) as lock:
            outcome = _run(request, lock, display, command)
    except SpecErrors as error:
        outcome = Outcome("refused", "InvalidSpec", str(error), seconds=time.monotonic() - started)
    except UserError as error:
        message = f"{error.message}\n{error.hint}" if "\n" in error.message else str(error)
        outcome = Outcome("refused", error.reason, message.strip(), seconds=time.monotonic() - started)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        outcome = Outcome("failed", "SystemError", f"{where}{error.strerror or error}", seconds=time.monotonic() - started)
    if outcome.state == "refused" and not options.json:
        typer.echo(outcome.message, err=True)
    else:
        numbers = {} if outcome.state == "refused" else key_figures(read_log(output))
        display.finish(outcome, numbers, output)
    return EXIT_CODES[outcome.state]


def _request(options: Options) -> _Request:
    job = load_job(options.job_file, options.overrides)
    refuse_cluster_only(job, os.environ)
    mounts = parse_mounts(options.mounts)
    if problems := mount_problems(job, mounts):
        raise UserError("MountMissing", "\n".join(problems))
    layout = choose_layout(job.spec.distributed, visible_gpus(os.environ | job.spec.trainer.written_env))
    job_dir = options.job_file.absolute().parent
    output = (options.output or Path("runs") / job.metadata.name).absolute()
    return _Request(resolve(job, job_dir, layout.processes_per_node), job_dir, output, layout, mounts)


@contextmanager
def _owned(request: _Request, options: Options) -> Iterator[int]:
    """The lock of the output folder, which is a run of ours or empty; with --fresh, nothing of an earlier run is left in it."""
    if request.output.exists() and not request.output.is_dir():
        raise UserError("OutputNotAFolder", f"{request.output} is a file.", "Choose a folder with --output DIR.")
    state = inspect(request.output)
    if not state.ours and isinstance(ruling := judge(state, request.job, request.output), Refused):
        raise refusal(ruling)  # Before the lock, which would leave a file in someone else's folder.
    with folder_lock(request.output) as lock:
        if options.fresh and inspect(request.output).ours:
            _start_over(request.output, ask=not options.yes)
            write_run(request.output, request.job_dir, request.mounts)  # Still ours, also with other people's files left in it.
        yield lock


def _start_over(output: Path, *, ask: bool) -> None:
    found = deletions(output)
    lines = [f"  {item.path.name:<32} {item.files:>6} files {text.size(item.size):>10}" for item in found]
    total = text.size(sum(item.size for item in found))
    typer.echo("\n".join([f"--fresh deletes from {output}:", *lines, f"  {total} in all"]), err=True)
    if ask:
        if not sys.stdin.isatty():
            raise UserError("NotConfirmed", "Nothing was deleted.", "Add --yes to delete it without being asked.")
        if not typer.confirm("Delete this?", err=True):
            raise UserError("NotConfirmed", "Nothing was deleted.", "Without --fresh the run continues where it was.")
    delete(found)


def _run(request: _Request, lock: int, display: Display, command: Sequence[str]) -> Outcome:
    state = inspect(request.output)
    ruling = judge(state, request.job, request.output)
    if isinstance(ruling, Refused):
        raise refusal(ruling)
    if ruling == "complete":
        return Outcome("complete", saved_step=state.saved_step)
    write_resolved_job(request.job, request.output)
    write_run(request.output, request.job_dir, request.mounts)
    run = LocalRun(request.job, request.output, request.layout, request.mounts, lock, command)
    with stop_on_signals() as stop, display:
        display.show(events.RunStarted(request.job.metadata.name, request.output, request.layout, state.saved_step))
        return run_attempts(run, display.show, stop)


def _display(options: Options) -> Display:
    def write(line: str) -> None:
        print(line, flush=True)

    if options.json:
        return JsonDisplay(write)
    console = Console()
    if options.plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainDisplay(write)
    return LiveDisplay(console)
