"""The Indexed Job of an attempt: all pods or none, and never a second try of a pod."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_api.names import attempt_name, labels
from finetune_operator.core.model import Config, Job, Manifest
from finetune_operator.core.render.owner import child_metadata
from finetune_operator.core.render.pod import render_pod


def render_job(job: Job, attempt: int, history: Mapping[str, str], config: Config) -> Manifest:
    """The Job.

    Args:
        history: annotations that say what happened before this attempt.
    """
    # Queues such as Kueue look for their labels on the Job, not on its pods.
    given = job.spec.pod_template.metadata
    nodes = job.spec.distributed.nodes
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": child_metadata(
            job,
            attempt_name(job.key.name, attempt),
            given.labels | labels(job.key.name, job.uid, attempt),
            given.annotations | dict(history),
        ),
        "spec": {
            "completionMode": "Indexed",
            "completions": nodes,
            "parallelism": nodes,
            "backoffLimit": 0,
            "template": render_pod(job, attempt, config),
        },
    }
