"""Whose an output folder is: what may be continued, what is refused, and what `--fresh` deletes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from finetune_api import contract as c
from finetune_api.load import load_job
from finetune_api.problems import SpecErrors
from finetune_api.spec import FineTuneJob
from finetune_cli.local.changes import changed_settings
from finetune_cli.local.lock import LOCK_FILE

#: What only `finetune run` knows about a run: {"job_dir", "mounts"}.
RUN_FILE = "run.json"
LOGS_DIR = "logs"
#: Names at the top of an output folder that a run writes. Whatever else lies there is never deleted.
WRITTEN_BY_A_RUN = (
    c.STATE_DIR, c.CHECKPOINTS_DIR, c.MERGED_DIR, LOGS_DIR, c.TENSORBOARD_DIR,
    c.LOG_FILE, c.PLOT_FILE, c.RESOLVED_JOB_FILE, c.MODEL_CARD_FILE,
    "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "adapter_config.json",
    "tokenizer*.json", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "chat_template.jinja",
)  # fmt: skip
_CHECKPOINT = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class FolderState:
    """What an output folder holds.

    Attributes:
        entries: names at its top; empty also for a folder that does not exist.
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


@dataclass(frozen=True)
class Ruling:
    """What to do with the folder; `problem` and `hint` are for people."""

    action: Literal["start", "continue", "complete", "refuse"]
    problem: str = ""
    hint: str = ""


def judge(state: FolderState, job: FineTuneJob, output: Path) -> Ruling:
    """Whether a run of `job` may start or go on in the folder."""
    elsewhere = "choose another folder with --output DIR"
    fresh = f"Start over with --fresh, or {elsewhere}."
    if not state.ours:
        if state.entries:
            some = ", ".join(state.entries[:3]) + (", ..." if len(state.entries) > 3 else "")
            return Ruling("refuse", f"{output} is not empty and not a run of ours (it holds {some}).", f"{elsewhere.capitalize()}.")
        return Ruling("start")
    if state.unreadable:
        return Ruling("refuse", f"{output}/{c.RESOLVED_JOB_FILE} cannot be read: {state.unreadable}", fresh)
    if state.job is None:
        return Ruling("start")
    if state.job.metadata.name != job.metadata.name:
        return Ruling(
            "refuse", f"{output} belongs to the job {state.job.metadata.name}, and this one is {job.metadata.name}.", fresh
        )
    changes = changed_settings(state.job, job)
    # Before the first checkpoint there is nothing that another setting could contradict: a mistake is corrected and run again.
    if changes and (state.completed or state.saved_step is not None):
        listed = "".join(f"\n  {change}" for change in changes)
        return Ruling("refuse", f"{output} holds a run with other settings:{listed}", f"Put them back to continue. {fresh}")
    if state.completed:
        return Ruling("complete")
    return Ruling("start" if state.saved_step is None else "continue")


def inspect(output: Path) -> FolderState:
    """Read what `judge` needs to know. Changes nothing.

    Raises:
        NotADirectoryError: `output` is a file.
    """
    if not output.exists():
        return FolderState()
    state, job_file = output / c.STATE_DIR, output / c.RESOLVED_JOB_FILE
    entries = tuple(sorted(entry.name for entry in output.iterdir() if not _only_a_lock(entry)))
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


def _only_a_lock(entry: Path) -> bool:
    """A run that was refused or killed before its first word leaves a lock and nothing else."""
    return entry.name == c.STATE_DIR and entry.is_dir() and {path.name for path in entry.iterdir()} <= {LOCK_FILE}


def write_run(output: Path, job_dir: Path, mounts: Mapping[str, str]) -> None:
    """Write run.json atomically."""
    run = {"job_dir": str(job_dir), "mounts": dict(mounts)}
    path = output / c.STATE_DIR / RUN_FILE
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(run, indent=1))
    scratch.replace(path)


@dataclass(frozen=True)
class Deletion:
    """A file or folder that `--fresh` removes; size in bytes."""

    path: Path
    files: int
    size: int


def deletions(output: Path) -> list[Deletion]:
    """What `--fresh` removes from a run of ours, the largest first. Other people's files in it are left out."""
    return sorted((_measure(path) for path in output.iterdir() if _written_by_a_run(path.name)), key=lambda found: -found.size)


def delete(found: Sequence[Deletion]) -> None:
    """Remove them. The folder's lock stays, because whoever waits for it has this very file open. Links are not followed."""
    for item in found:
        if item.path.is_symlink() or item.path.is_file():
            item.path.unlink()
        elif item.path.name == c.STATE_DIR:
            delete([Deletion(path, 0, 0) for path in item.path.iterdir() if path.name != LOCK_FILE])
        else:
            shutil.rmtree(item.path)


def _written_by_a_run(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in WRITTEN_BY_A_RUN)


def _measure(path: Path) -> Deletion:
    if path.is_symlink() or path.is_file():
        return Deletion(path, 1, path.lstat().st_size)
    sizes = [inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir()]
    return Deletion(path, len(sizes), sum(sizes))
