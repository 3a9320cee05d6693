"""From a job's YAML to its prepared rows, in a cache folder of the user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_api.load import load_job
from finetune_api.spec import FineTuneJob
from finetune_cli.local.cluster_only import require_inputs
from finetune_cli.local.mounts import mount_problems, parse_mounts
from finetune_cli.status_line import status_line
from finetune_trainer.data.prepare import PreparedData, prepare_data
from finetune_trainer.data.reader import PreparedRows, open_rows
from finetune_trainer.errors import UserError
from finetune_trainer.model.fetch import fetch_model
from finetune_trainer.model.tokenizer import load_tokenizer


@dataclass(frozen=True)
class Inspected:
    """A job's data, ready to be looked at; the tokenizer has the job's chat template."""

    job: FineTuneJob
    tokenizer: Any
    data: PreparedData
    rows: PreparedRows


def load(job_file: Path, mounts: Sequence[str], overrides: Sequence[str], cache: Path | None, *, pack: bool) -> Inspected:
    """Prepare the data of the job.

    Args:
        mounts, overrides: as `finetune run` takes them.
        cache: where tokens are kept; None: in the user's cache folder.
        pack: False: one sample a row, whatever the job says.

    Raises:
        SpecErrors, UserError
    """
    job = load_job(job_file, overrides)
    require_inputs(job)
    places = parse_mounts(mounts)
    if problems := mount_problems(job, places):
        raise UserError("MountMissing", "\n".join(problems))
    if not pack:
        dataset = job.dataset.model_copy(update={"packing": False})
        job = job.model_copy(update={"spec": job.spec.model_copy(update={"dataset": dataset})})
    base = job_file.absolute().parent
    with status_line() as report:
        local = fetch_model(job.model, places, base, report)
        report("reading the tokenizer")
        tokenizer = load_tokenizer(local, job.model.trust_remote_code)
        data = prepare_data(job, tokenizer, places, base, cache or _user_cache(), report)
    return Inspected(job, tokenizer, data, open_rows(data.folder))


def _user_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "finetune" / "inspect"
