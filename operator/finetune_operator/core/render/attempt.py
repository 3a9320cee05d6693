"""Everything that one attempt needs."""

from __future__ import annotations

from finetune_api.names import ANNOTATION_PREEMPTIONS, ANNOTATION_RAN_SECONDS, ANNOTATION_RESTARTS
from finetune_operator.core.model import Config, Job, Manifest
from finetune_operator.core.render.config_map import render_config_map
from finetune_operator.core.render.job import render_job
from finetune_operator.core.render.service import render_service


def render_attempt(
    job: Job, number: int, *, restarts: int, preemptions: int, ran_seconds: float, config: Config
) -> tuple[Manifest, ...]:
    """Service, ConfigMap and Job of an attempt; the first two are the same for every attempt.

    Args:
        restarts, preemptions, ran_seconds: of the job before this attempt.
    """
    history = {
        ANNOTATION_RESTARTS: str(restarts),
        ANNOTATION_PREEMPTIONS: str(preemptions),
        ANNOTATION_RAN_SECONDS: f"{ran_seconds:.3f}",
    }
    return render_service(job), render_config_map(job), render_job(job, number, history, config)
