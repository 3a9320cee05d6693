"""What is read at the time of a scrape: the queue, jobs by phase, and, where it is asked for, numbers of single jobs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from finetune_api.status import JobPhase
from finetune_operator.core.model import JobKey, Manifest
from finetune_operator.shell.cache import Cache, key_of
from finetune_operator.shell.queue import WorkQueue
from finetune_operator.shell.resources import FINETUNE_JOBS

#: Not namespace and job: Prometheus gives these to every target that it scrapes.
_JOB_LABELS = ("job_namespace", "job_name")
#: Name of a gauge of a single job -> its meaning and its field of status.progress; None: status.restarts.
_JOB_GAUGES: Mapping[str, tuple[str, str | None]] = {
    "step": ("Optimizer steps done.", "step"),
    "total_steps": ("Optimizer steps of the whole run.", "totalSteps"),
    "loss": ("Training loss as last logged.", "loss"),
    "tokens_per_second": ("Tokens trained on per second, over all ranks.", "tokensPerSecond"),
    "updated_timestamp_seconds": ("Unix time of the last sign of life from training.", "updatedAt"),
    "restarts": ("Attempts that were charged to maxRestarts.", None),
}


class StateMetrics(Collector):
    """Gauges of the operator's state.

    Args:
        job_series: of at most so many running jobs, those first seen, each has series of its own; 0: of none.
        leader: whether this replica works, or stands by.
        clock: Unix time.
    """

    def __init__(
        self,
        queue: WorkQueue[JobKey],
        cache: Cache,
        job_series: int,
        leader: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue, self._cache, self._job_series, self._leader, self._clock = queue, cache, job_series, leader, clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families; those of single jobs only where they are asked for."""
        jobs = [*self._cache.finetune_jobs()]
        running = [job for job in jobs if _phase(job) == "Running"]
        yield _gauge("leader", "1: this replica works; 0: it stands by.", self._leader())
        yield _gauge("queue_depth", "Jobs that are due and wait for a worker.", len(self._queue))
        yield _gauge("queue_oldest_wait_seconds", "How long the job has waited that waits longest.", self._queue.oldest_seconds())
        yield _gauge(
            "progress_oldest_age_seconds",
            "Time since the last sign of life of the running job that is silent longest; 0 where none has told its progress.",
            max((self._clock() - at for at in map(_updated_at, running) if at), default=0.0),
        )
        yield self._phases(jobs)
        if self._job_series:
            yield from _of_jobs(running[: self._job_series])

    def _phases(self, jobs: Iterable[Manifest]) -> GaugeMetricFamily:
        counted = Counter(map(_phase, jobs))
        family = _family("jobs", "Jobs by phase.", "phase")
        for phase in get_args(JobPhase):
            family.add_metric([phase], counted[phase])
        return family


def _of_jobs(jobs: Iterable[Manifest]) -> Iterator[GaugeMetricFamily]:
    families = {name: _family(f"job_{name}", text, *_JOB_LABELS) for name, (text, _) in _JOB_GAUGES.items()}
    for job in jobs:
        status = job["status"]
        for name, (_, field) in _JOB_GAUGES.items():
            value: Any = status.get("restarts", 0) if field is None else (status.get("progress") or {}).get(field)
            if value is not None:
                families[name].add_metric([*key_of(FINETUNE_JOBS, job)], value)
    yield from families.values()


def _family(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"finetune_operator_{name}", documentation, labels=labels)


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    family = _family(name, documentation)
    family.add_metric([], value)
    return family


def _phase(job: Manifest) -> str:
    return (job.get("status") or {}).get("phase") or "Pending"


def _updated_at(job: Manifest) -> float:
    return float((job["status"].get("progress") or {}).get("updatedAt") or 0.0)
