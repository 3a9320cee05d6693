"""The ConfigMap with the job as the trainer reads it."""

from __future__ import annotations

from pathlib import PurePosixPath

from finetune_api.contract import JOB_FILE
from finetune_api.names import config_map_name, labels
from finetune_api.spec import API_VERSION, KIND, FineTuneJobSpec
from finetune_api.yaml_writer import to_yaml
from finetune_operator.core.model import Job, Manifest
from finetune_operator.core.render.owner import child_metadata
from finetune_operator.core.topology import processes_per_node

#: Key of the ConfigMap, which is also the name of the file.
JOB_KEY = PurePosixPath(JOB_FILE).name


def render_config_map(job: Job) -> Manifest:
    """One ConfigMap for all attempts, which is why it is immutable."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(job, config_map_name(job.key.name), labels(job.key.name, job.uid)),
        "immutable": True,
        "data": {JOB_KEY: to_yaml(_resolved(job))},
    }


def _resolved(job: Job) -> Manifest:
    """The job without what the API server has added, with its number of processes written down."""
    spec = job.spec
    distributed = spec.distributed.model_copy(update={"processes_per_node": processes_per_node(spec)})
    resolved: FineTuneJobSpec = spec.model_copy(update={"distributed": distributed})
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": job.key.name, "namespace": job.key.namespace},
        "spec": resolved.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
