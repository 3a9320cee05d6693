"""Jobs as the operator reads them, and what is rendered for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune_api.load import load_job
from finetune_api.rule_check import rule_problems
from finetune_api.spec import FineTuneJob
from finetune_api.status import FineTuneJobStatus
from finetune_operator.core.model import Config, Job, JobKey, Manifest
from finetune_operator.core.render.attempt import render_attempt

JOBS = Path(__file__).parent / "jobs"
NAMES = sorted(path.stem for path in JOBS.glob("*.yaml"))
CONFIG = Config(trainer_image="registry.example.com/finetune-trainer:1")


def read(name: str) -> Job:
    """A job of the folder jobs/, which must be one that a cluster accepts."""
    job = load_job(JOBS / f"{name}.yaml")
    assert rule_problems(job, cluster=True) == []
    return as_read(job)


def as_read(job: FineTuneJob) -> Job:
    """A job with what the API server adds to it."""
    return Job(
        key=JobKey(job.metadata.namespace or "default", job.metadata.name),
        uid="11111111-2222-3333-4444-555555555555",
        generation=1,
        resource_version="100",
        created_at=1_700_000_000.7,
        job=job,
        status=FineTuneJobStatus(),
    )


def small(name: str = "small", **spec: Any) -> Job:
    """A small valid job, with whole groups of spec replaced by `spec`."""
    manifest = {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {
            "model": {"source": "pvc://models/smollm2"},
            "dataset": {"sources": [{"uri": "pvc://data/pairs.jsonl", "format": "alpaca"}]},
            "output": {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}},
            **spec,
        },
    }
    return as_read(FineTuneJob.model_validate(manifest))


def attempt(job: Job, number: int = 0) -> tuple[Manifest, Manifest, Manifest]:
    """Service, ConfigMap and Job of an attempt that nothing came before."""
    service, config_map, kubernetes_job = render_attempt(job, number, restarts=0, preemptions=0, ran_seconds=0, config=CONFIG)
    return service, config_map, kubernetes_job


def pod(job: Job, number: int = 0) -> Manifest:
    """The spec of an attempt's pods."""
    spec: Manifest = attempt(job, number)[2]["spec"]["template"]["spec"]
    return spec


def container(job: Job, number: int = 0) -> Manifest:
    """The container that trains."""
    (only,) = pod(job, number)["containers"]
    return dict(only)


def environment(job: Job, number: int = 0) -> dict[str, Any]:
    """Its environment: name -> value, or what valueFrom names."""
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container(job, number)["env"]}
