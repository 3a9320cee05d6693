"""The job as a run sees it: nothing in it depends any more on the folder of its YAML or on this machine's GPUs."""

from __future__ import annotations

import os
from pathlib import Path

from finetune_api.spec import DataSource, FineTuneJob

_FILE = "file://"


def resolve(job: FineTuneJob, folder: Path, processes_per_node: int) -> FineTuneJob:
    """The job with absolute file:// URIs and its number of processes written down.

    Args:
        folder: of the job's YAML; relative file:// paths start there.
    """

    def absolute(uri: str) -> str:
        return f"{_FILE}{os.path.abspath(folder / uri.removeprefix(_FILE))}" if uri.startswith(_FILE) else uri  # noqa: PTH100

    def moved(sources: list[DataSource]) -> list[DataSource]:
        return [source.model_copy(update={"uri": absolute(source.uri)}) for source in sources]

    spec = job.spec
    data = job.dataset.model_copy(update={"sources": moved(job.dataset.sources), "eval_sources": moved(job.dataset.eval_sources)})
    return job.model_copy(
        update={
            "spec": spec.model_copy(
                update={
                    "model": job.model.model_copy(update={"source": absolute(job.model.source)}),
                    "dataset": data,
                    "distributed": spec.distributed.model_copy(update={"processes_per_node": processes_per_node}),
                }
            )
        }
    )
