"""The headless Service that gives each pod a host name."""

from __future__ import annotations

from finetune_api.names import LABEL_JOB, LABEL_JOB_UID, labels, service_name
from finetune_operator.core.model import Job, Manifest
from finetune_operator.core.render.owner import child_metadata


def render_service(job: Job) -> Manifest:
    """One Service for all attempts. Addresses are published before pods are ready, because ranks meet before they are."""
    own = labels(job.key.name, job.uid)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(job, service_name(job.key.name), own),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {name: own[name] for name in (LABEL_JOB, LABEL_JOB_UID)},
        },
    }
