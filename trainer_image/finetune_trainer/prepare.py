"""Model, tokenizer and data made ready for the ranks: `python -m finetune_trainer.prepare SCRATCH PREPARED`.

A child of node 0's launcher. Runs before any process group exists, so that no rank sits in a collective meanwhile.
Imports torch only to convert a GGUF file.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

from finetune_api.contract import ExitCode
from finetune_api.extra_args import training_argument_names, unknown_extra_args
from finetune_api.load import load_job
from finetune_api.spec import FineTuneJob, Training
from finetune_trainer import failure
from finetune_trainer.errors import UserError
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.lifeline import die_with
from finetune_trainer.prepared import Prepared
from finetune_trainer.settings import NodeSettings
from finetune_trainer.upstream.eager_imports import hide

#: Between two lines of progress in the log; the heartbeat gets all of them.
LINE_SECONDS = 5.0


def prepare(job: FineTuneJob, settings: NodeSettings, heartbeat: Heartbeat) -> Prepared:
    """Fetch the model, read its tokenizer, and turn the data into rows of tokens.

    Raises:
        UserError: with what to change in the job, the data or the model.
    """
    from finetune_trainer.data.prepare import prepare_data
    from finetune_trainer.model.fetch import fetch_model
    from finetune_trainer.model.gguf import materialise_gguf
    from finetune_trainer.model.targets import check_targets_early
    from finetune_trainer.model.tokenizer import load_tokenizer
    from finetune_trainer.strategies.own_config import read_configuration

    _check_extra_args(job.spec.training)
    configuration = read_configuration(job, settings.mounts, settings.job_file.parent)
    if not job.model.gguf_file:
        hide(("torch",))
    report = Report(heartbeat)
    base = settings.job_file.parent
    heartbeat.beat("downloading" if job.model.source.startswith("hf://") else "preparing")
    local = materialise_gguf(fetch_model(job.model, settings.mounts, base, report), settings.state_dir / "cache", report)
    check_targets_early(Path(local.folder), job.spec.training, job.model.source)
    heartbeat.beat("preparing", message="reading the tokenizer")
    tokenizer = load_tokenizer(local, job.model.trust_remote_code)
    data = prepare_data(job, tokenizer, settings.mounts, base, settings.state_dir / "cache", report)
    for warning in data.warnings:
        print(f"warning: {warning}", flush=True)
    return Prepared(local, str(data.folder), data.counts, data.warnings, configuration)


def _check_extra_args(training: Training) -> None:
    """Names are checked here and not by the ranks, which would find out later."""
    problems = unknown_extra_args(training.extra_args, training_argument_names() or ())
    if problems:
        raise UserError("UnknownExtraArgs", " ".join(map(str, problems)))


class Report:
    """Takes lines of progress: a heartbeat each time, a line in the log now and then."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat, self._next = heartbeat, 0.0

    def __call__(self, message: str) -> None:
        """Tell `message`, and that work goes on."""
        self._heartbeat.beat(message=message)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            print(message, flush=True)


def main(scratch: Path, prepared_file: Path) -> ExitCode:
    """Prepare what the environment names; a failure is recorded in `scratch` for the launcher."""
    die_with(os.getppid())
    heartbeat = Heartbeat(scratch / "prepare.json")
    heartbeat.beat("preparing")
    with (scratch / "stack-prepare.txt").open("w") as stacks:
        faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
        try:
            settings = NodeSettings.from_env(os.environ)
            prepare(load_job(settings.job_file), settings, heartbeat).write(prepared_file)
        except BaseException as exc:
            failure.record(scratch / "failure-prepare.json", exc, phase=heartbeat.phase, rank=None, step=None)
            return ExitCode.USER_ERROR if isinstance(exc, UserError) else ExitCode.RETRYABLE
        finally:
            faulthandler.unregister(signal.SIGUSR1)
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
