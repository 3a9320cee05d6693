"""What the operator counts, for Prometheus. No label here takes names of jobs: their number has no bound.

docs/metrics.md says what each means. What is read at the time of a scrape is in state_metrics.py.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector

from finetune_api.status import FineTuneJobStatus

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: From a second to hours: waiting for a node, pulling an image, downloading a model.
_START_SECONDS = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
#: Why attempts end that are started again. Whatever else a trainer may say is counted as Other: the label has a bound.
REASONS = (
    "Disrupted",
    "Error",
    "Evicted",
    "Killed",
    "LauncherDied",
    "NodeLost",
    "OutOfMemory",
    "PeerLost",
    "PodFailed",
    "Preempted",
    "RankFailed",
    "Stalled",
)
OTHER = "Other"


class Metrics:
    """All metrics of one operator process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.reconciles = self._counter("reconciles", "Reconciliations of a job, by how they ended.", "result")
        self.reconcile_seconds = self._histogram("reconcile_duration_seconds", "How long a reconciliation took.", _SECONDS)
        self.queue_seconds = self._histogram("queue_wait_seconds", "How long a job that was due waited for a worker.", _SECONDS)
        self.api_requests = self._counter(
            "api_requests", "Requests to the API server; code none: no answer came.", "verb", "resource", "code"
        )
        self.api_seconds = self._histogram(
            "api_request_duration_seconds", "How long requests to the API server took.", _SECONDS, "verb"
        )
        self.restarts = self._counter(
            "restarts",
            "Attempts that ended and are followed by another; kind restart counts against maxRestarts, kind preemption does not.",
            "kind",
            "reason",
        )
        self.running_seconds = self._histogram(
            "job_time_to_running_seconds", "From a job's creation until all its nodes first ran.", _START_SECONDS
        )
        self.first_step_seconds = self._histogram(
            "job_time_to_first_step_seconds", "From a job's creation until its first optimizer step was seen.", _START_SECONDS
        )
        self.polls = self._counter("progress_polls", "Requests to launchers for a job's progress, by how they ended.", "result")
        for kind in ("restart", "preemption"):
            for reason in (*REASONS, OTHER):  # The first one is an increase only if there was a zero before it.
                self.restarts.labels(kind, reason)

    def written(self, created_at: float, old: FineTuneJobStatus, new: FineTuneJobStatus, now: float) -> None:
        """A job's status was changed from `old` to `new`.

        Args:
            created_at, now: Unix seconds.
        """
        reason = new.last_failure.reason if new.last_failure is not None else OTHER
        reason = reason if reason in REASONS else OTHER
        if new.restarts > old.restarts:
            self.restarts.labels("restart", reason).inc()
        if new.preemptions > old.preemptions:
            self.restarts.labels("preemption", reason).inc()
        if new.attempt > 0 or any(condition.type == "Suspended" for condition in new.conditions):
            return  # Its start was held up by more than what these times are about.
        if old.phase != "Running" and new.phase == "Running":
            self.running_seconds.observe(now - created_at)
        if not _steps(old) and _steps(new) and new.progress is not None and new.progress.phase != "loading":
            self.first_step_seconds.observe(now - created_at)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"finetune_operator_{name}", documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"finetune_operator_{name}", documentation, labels, buckets=buckets, registry=self.registry)


def _steps(status: FineTuneJobStatus) -> int:
    return 0 if status.progress is None else status.progress.step or 0
