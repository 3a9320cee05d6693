"""What a report shows of one run: everything that its output folder holds about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finetune_api.contract import LOG_FILE, RESOLVED_JOB_FILE
from finetune_api.load import load_job
from finetune_api.problems import SpecErrors
from finetune_trainer.results.attempts import Attempt, read_attempts
from finetune_trainer.results.curves import Log
from finetune_trainer.results.log import read_log
from finetune_trainer.results.resolved_job import public_manifest
from finetune_trainer.results.samples import Samples, read_samples


class NothingLogged(Exception):  # noqa: N818  (what it is called everywhere)
    """A run of which there is nothing to draw yet."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: what the reader calls it, different from every other run's.
        log: lines of trainer_log.jsonl; at least one.
        samples: what the model answered before training and after; None if it was not asked.
        manifest: the resolved job, without values of environment variables. Empty if it cannot be read; `unreadable` says why.
    """

    name: str
    log: Log
    attempts: list[Attempt] = field(default_factory=list)
    samples: Samples | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    unreadable: str = ""

    @property
    def job(self) -> str:
        """Name of the job, else of the run."""
        return str(self.manifest["metadata"]["name"]) if self.manifest else self.name


def read_run(name: str, output_dir: Path) -> Run:
    """Read an output folder, also one that is being written.

    Raises:
        NothingLogged: there is no line of a step.
        OSError: the folder cannot be read.
    """
    log = read_log(output_dir)
    if not log:
        raise NothingLogged(f"Nothing has been logged yet in {output_dir}: no {LOG_FILE} with a step in it.")
    run = Run(name, log, read_attempts(output_dir), read_samples(output_dir))
    try:
        return replace(run, manifest=public_manifest(load_job(output_dir / RESOLVED_JOB_FILE)))
    except SpecErrors as errors:
        return replace(run, unreadable=str(errors))
