"""The metrics as the code has them, as rows of the tables in docs/metrics.md."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from finetune_api.contract import Progress
from finetune_operator.core.model import JobKey, Manifest
from finetune_operator.shell.cache import Cache
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.queue import WorkQueue
from finetune_operator.shell.resources import FINETUNE_JOBS
from finetune_operator.shell.state_metrics import StateMetrics
from finetune_trainer.launcher import progress

#: With everything that a launcher may tell.
TRAINING = Progress(
    phase="training",
    step=40,
    total_steps=100,
    epoch=0.4,
    loss=1.5,
    eval_loss=1.6,
    grad_norm=0.9,
    learning_rate=1e-4,
    tokens_per_second=900.0,
    step_seconds=2.5,
    eta_seconds=150.0,
    last_checkpoint_step=30,
    checkpoint_seconds=0.8,
    updated_at=1_000.0,
)
_UNITS = {"_timestamp_seconds": "s (Unix)", "_tokens_per_second": "tokens/s", "_seconds": "s"}


def state(jobs: Iterable[Manifest], job_series: int, now: float = 1_030.0) -> dict[str, GaugeMetricFamily]:
    """Gauges of an operator with nothing to do that knows these jobs."""

    async def collected() -> dict[str, GaugeMetricFamily]:
        cache = Cache()
        for job in jobs:
            cache.answered(FINETUNE_JOBS, job)
        queue: WorkQueue[JobKey] = WorkQueue()
        return {
            family.name: family
            for family in StateMetrics(queue, cache, job_series, leader=lambda: True, clock=lambda: now).collect()
        }

    return asyncio.run(collected())


def a_job(name: str, phase: str = "Running", **status: object) -> Manifest:
    """A FineTuneJob as the API server has it."""
    metadata = {"namespace": "n", "name": name, "uid": name, "resourceVersion": "5"}
    return {"metadata": metadata, "status": {"phase": phase, **status}}


def operator_rows() -> list[str]:
    """Of the operator, without those of single jobs."""
    metrics = Metrics()
    metrics.reconciles.labels("done")
    metrics.api_requests.labels("GET", "jobs", "200")
    metrics.api_seconds.labels("GET")
    metrics.polls.labels("answered")
    return [*_rows(metrics.registry), *(_row(family) for family in state([a_job("a")], 0).values())]


def job_rows() -> list[str]:
    """Of the operator, those of single jobs."""
    job = a_job("a", progress=TRAINING.model_dump(by_alias=True))
    with_jobs, without = state([job], 1), state([job], 0)
    return [_row(family) for name, family in with_jobs.items() if name not in without]


def training_rows() -> list[str]:
    """Of a launcher."""
    return [_row(family) for family in text_string_to_metric_families(progress.metrics(TRAINING).decode())]


def _rows(registry: CollectorRegistry) -> list[str]:
    return [_row(family) for family in registry.collect() if family.name.startswith("finetune_")]


def _row(family: GaugeMetricFamily) -> str:
    """Name as in a query (a counter's with _total), type, unit, labels, meaning."""
    name = f"{family.name}_total" if family.type == "counter" else family.name
    unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")
    labels = ", ".join(f"`{label}`" for label in family.samples[0].labels if label != "le")
    return f"| `{name}` | {family.type} | {unit} | {labels} | {family.documentation} |"
