"""Whose an object is."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_api.spec import API_VERSION, KIND
from finetune_operator.core.model import Job, Manifest


def child_metadata(job: Job, name: str, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> Manifest:
    """Metadata of an object that goes when its FineTuneJob goes."""
    return {
        "name": name,
        "namespace": job.key.namespace,
        "labels": dict(labels),
        **({"annotations": dict(annotations)} if annotations else {}),
        "ownerReferences": [owner_reference(job)],
    }


def owner_reference(job: Job) -> Manifest:
    """The reference by which Kubernetes deletes a child with its FineTuneJob."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": job.key.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
