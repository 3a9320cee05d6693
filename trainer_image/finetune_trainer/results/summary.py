"""What rank 0 writes at the end of a job besides the weights: the job, the picture and the model card."""

from __future__ import annotations

import logging
from importlib import metadata
from pathlib import Path

from finetune_api.contract import MODEL_CARD_FILE
from finetune_api.spec import FineTuneJob
from finetune_trainer.prepared import Prepared
from finetune_trainer.results.log import read_log
from finetune_trainer.results.model_card import model_card
from finetune_trainer.results.resolved_job import write_resolved_job

_LIBRARIES = ("finetune-operator", "torch", "transformers", "peft", "accelerate", "datasets")
_log = logging.getLogger(__name__)


def write_results(job: FineTuneJob, output_dir: Path, prepared: Prepared) -> None:
    """Write finetunejob.yaml, README.md and training_loss.png. A picture that cannot be drawn is a warning: the model is there.

    Raises:
        OSError: the folder cannot be written.
    """
    write_resolved_job(job, output_dir)
    try:
        from finetune_trainer.results.plot import write_plot

        write_plot(output_dir)
    except Exception as error:
        _log.warning(
            "The loss plot could not be drawn (%s: %s); `finetune plot %s` tries again.", type(error).__name__, error, output_dir
        )
    card = model_card(job, prepared, read_log(output_dir), library_versions())
    (output_dir / MODEL_CARD_FILE).write_text(card)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the result, as far as they are installed."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
