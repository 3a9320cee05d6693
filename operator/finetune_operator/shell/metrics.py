"""What the operator counts, for Prometheus. No metric is labelled with names of jobs: their number has no bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """All metrics of one operator process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.reconciles = Counter("finetune_reconciles", "Reconciliations of a job.", ["result"], registry=self.registry)
        self.reconcile_seconds = Histogram(
            "finetune_reconcile_seconds", "Duration of a reconciliation.", buckets=_SECONDS, registry=self.registry
        )
        self.queue_seconds = Histogram(
            "finetune_queue_seconds", "Time that a job waited until a worker was free.", buckets=_SECONDS, registry=self.registry
        )
        self.api_requests = Counter(
            "finetune_api_requests", "Requests to the API server.", ["verb", "resource", "code"], registry=self.registry
        )
        self.api_seconds = Histogram(
            "finetune_api_request_seconds",
            "Duration of requests to the API server.",
            ["verb"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.restarts = Counter(
            "finetune_restarts",
            "Attempts that were started again, by the reason the last one ended.",
            ["reason"],
            registry=self.registry,
        )
        self.polls = Counter("finetune_progress_polls", "Requests for a job's progress.", ["result"], registry=self.registry)

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when it is scraped."""
        self.registry.register(_Read(lambda: [GaugeMetricFamily(name, documentation, value=read())]))

    def gauges(self, name: str, documentation: str, label: str, read: Callable[[], Iterable[tuple[str, float]]]) -> None:
        """Add a gauge per value of a label, read when they are scraped."""

        def family() -> list[GaugeMetricFamily]:
            metric = GaugeMetricFamily(name, documentation, labels=[label])
            for value, number in read():
                metric.add_metric([value], number)
            return [metric]

        self.registry.register(_Read(family))


class _Read(Collector):
    def __init__(self, read: Callable[[], Iterable[GaugeMetricFamily]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._read()
