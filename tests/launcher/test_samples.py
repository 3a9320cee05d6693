"""Asking the model for the report is never in the way of the job's end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cli.jobs import a_job
from finetune_api.contract import Progress
from finetune_trainer.launcher.context import Context
from finetune_trainer.launcher.samples import ask_the_model
from finetune_trainer.launcher.stop import Stop
from finetune_trainer.results.attempts import AttemptLog
from finetune_trainer.results.samples import Samples, read_samples
from finetune_trainer.settings import NodeSettings


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A launcher's, whose ranks have trained 4 steps; of what they trained nothing is there."""
    output = tmp_path / "out"
    (output / ".finetune").mkdir(parents=True)
    settings = NodeSettings.from_env({"FINETUNE_OUTPUT_DIR": str(output)})
    job = a_job(tmp_path, output={"samples": 1})
    own = Progress(phase="training", step=4, total_steps=4, loss=1.5, updated_at=time.time())
    return Context(settings, job, tmp_path, Stop(), AttemptLog(output, 0), own)


def missing(context: Context) -> str:
    found = read_samples(context.settings.output_dir)
    assert isinstance(found, Samples) and found.samples == ()
    return found.missing


def test_it_is_given_up_after_a_while(context: Context) -> None:
    ask_the_model(context, seconds=0)
    assert missing(context) == "Asking the model was given up after 0 s."
    assert (context.progress().phase, context.progress().step, context.progress().loss) == ("finishing", 4, 1.5)


def test_it_is_given_up_when_the_job_has_to_stop(context: Context) -> None:
    context.stop.request()
    ask_the_model(context)
    assert missing(context) == "Asking the model was given up because the job was stopped."


def test_a_model_that_is_not_there_is_told_of(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    ask_the_model(context)
    assert "The model could not be asked (SpecErrors: " in missing(context)
    assert "warning: the report has no samples: The model could not be asked" in capsys.readouterr().out
