"""Whose an output folder is: whether a job may start, or go on from what an earlier run has left there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune_api import contract as c
from finetune_api.load import load_job
from finetune_api.problems import SpecErrors
from finetune_api.spec import FineTuneJob
from finetune_trainer.results.changed_settings import changed_settings

#: In the state folder, by `finetune run`: what only it knows about a run.
RUN_FILE = "run.json"
_CHECKPOINT = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class FolderState:
    """What an output folder holds.

    Attributes:
        entries: names at its top, without the state folder; empty also for a folder that does not exist.
        ours: a run has written here.
        job: the resolved job of that run, if it can be read; otherwise `unreadable` says why.
        saved_step: step of the newest checkpoint, complete or not.
        completed: the run has written its result.
    """

    entries: tuple[str, ...] = ()
    ours: bool = False
    job: FineTuneJob | None = None
    unreadable: str = ""
    saved_step: int | None = None
    completed: bool = False


Refusal = Literal["OutputNotOurs", "OutputUnreadable", "OutputOfAnotherJob", "SettingsChanged"]


@dataclass(frozen=True)
class Refused:
    """The job may not run in the folder; `problem` says why in words."""

    reason: Refusal
    problem: str


Ruling = Literal["start", "continue", "complete"] | Refused


def judge(state: FolderState, job: FineTuneJob, output: Path) -> Ruling:
    """Whether a run of `job` may start or go on in the folder. Pure: every node of a job comes to the same ruling."""
    if not state.ours:
        if state.entries:
            some = ", ".join(state.entries[:3]) + (", ..." if len(state.entries) > 3 else "")
            return Refused("OutputNotOurs", f"{output} is not empty and not a run of ours (it holds {some}).")
        return "start"
    if state.unreadable:
        return Refused("OutputUnreadable", f"{output}/{c.RESOLVED_JOB_FILE} cannot be read: {state.unreadable}")
    if state.job is None:
        return "start"
    earlier, name = state.job.metadata.name, job.metadata.name
    if earlier != name:
        return Refused("OutputOfAnotherJob", f"{output} belongs to the job {earlier}, and this one is {name}.")
    changes = changed_settings(state.job, job)
    # Before the first checkpoint there is nothing that another setting could contradict: a mistake is corrected and run again.
    if changes and (state.completed or state.saved_step is not None):
        listed = "".join(f"\n  {change}" for change in changes)
        return Refused("SettingsChanged", f"{output} holds a run with other settings:{listed}")
    if state.completed:
        return "complete"
    return "start" if state.saved_step is None else "continue"


def inspect(output: Path) -> FolderState:
    """Read what `judge` needs to know. Changes nothing.

    Raises:
        NotADirectoryError: `output` is a file.
    """
    if not output.exists():
        return FolderState()
    state, job_file = output / c.STATE_DIR, output / c.RESOLVED_JOB_FILE
    entries = tuple(sorted(entry.name for entry in output.iterdir() if entry.name != c.STATE_DIR))
    if not ((state / RUN_FILE).is_file() or (state.is_dir() and job_file.is_file())):
        return FolderState(entries=entries)
    job, unreadable = None, ""
    if job_file.is_file():
        try:
            job = load_job(job_file)
        except SpecErrors as error:
            unreadable = str(error)
    return FolderState(entries, True, job, unreadable, saved_step(output), (state / c.DONE_MARKER).is_file())


def saved_step(output: Path) -> int | None:
    """Step of the newest checkpoint in the folder, complete or not."""
    names = (path.name for path in (output / c.CHECKPOINTS_DIR).glob("step-*"))
    return max((int(match[1]) for name in names if (match := _CHECKPOINT.fullmatch(name))), default=None)
