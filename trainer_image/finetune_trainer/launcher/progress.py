"""GET /progress and /metrics: where this node stands, from the heartbeats of prepare and its first rank."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from finetune_api.contract import Progress
from finetune_trainer.heartbeat import Beat

#: Field of Progress -> name of its metric, after finetune_training_, and meaning; docs/metrics.md lists them.
_GAUGES = {
    "step": ("step", "Optimizer steps done."),
    "total_steps": ("total_steps", "Optimizer steps of the whole run."),
    "epoch": ("epoch", "Epochs done, as a fraction."),
    "loss": ("loss", "Training loss as last logged."),
    "eval_loss": ("eval_loss", "Loss on the evaluation set as last measured."),
    "grad_norm": ("gradient_norm", "Norm of the gradient before clipping."),
    "learning_rate": ("learning_rate", "Learning rate of the last step."),
    "tokens_per_second": ("tokens_per_second", "Tokens trained on per second, over all ranks."),
    "step_seconds": ("step_seconds", "Time of an optimizer step, as last logged, without evaluation and saving."),
    "eta_seconds": ("remaining_seconds", "Estimated time until the end."),
    "last_checkpoint_step": ("last_checkpoint_step", "Step of the newest complete checkpoint."),
    "checkpoint_seconds": ("checkpoint_seconds", "For how long training stood still for the last checkpoint."),
    "attempt": ("attempt", "Number of this attempt, from 0."),
    "updated_at": ("updated_timestamp_seconds", "Unix time of the last sign of life."),
}


def merge(own: Progress, beat: Beat | None, now: float, now_monotonic: float) -> Progress:
    """The launcher's own view, replaced by the newest heartbeat where there is one.

    Args:
        own: phase and message as the launcher sees them.
        beat: of this machine; its `at` is time.monotonic().
        now: Unix time; now_monotonic: time.monotonic() of the same moment.
    """
    if beat is None:
        return own
    at = now - (now_monotonic - beat.at)
    return Progress(**{**beat.progress, "phase": beat.phase, "attempt": own.attempt, "updated_at": at})


def metrics(progress: Progress) -> bytes:
    """Prometheus text; values that are not known are absent."""
    registry = CollectorRegistry()
    registry.register(_Gauges(progress))
    return generate_latest(registry)


def starting(attempt: int) -> Progress:
    """Before anything has happened."""
    return Progress(phase="starting", message="", attempt=attempt, updated_at=time.time())


class _Gauges(Collector):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for field, (name, text) in _GAUGES.items():
            value = getattr(self._progress, field)
            if value is not None:
                yield GaugeMetricFamily(f"finetune_training_{name}", text, value=value)
        phase = GaugeMetricFamily("finetune_training_phase", "What the job is doing: 1 for the current phase.", labels=["phase"])
        phase.add_metric([self._progress.phase], 1)
        yield phase
