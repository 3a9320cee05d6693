"""From a step to the status that tells of it."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_api.contract import Progress
from finetune_api.status import FineTuneJobStatus, Nodes, summary
from finetune_api.times import rfc3339
from finetune_operator.core import conditions
from finetune_operator.core.conditions import Fact
from finetune_operator.core.model import Job, Observed
from finetune_operator.core.policies.output_in_use import output_folder
from finetune_operator.core.policies.progress import progress
from finetune_operator.core.step import Step
from finetune_operator.core.text import message, word


def report(job: Job, observed: Observed, step: Step, now: float) -> FineTuneJobStatus:
    """The status after the step. What the step says nothing about stays as it is."""
    old = job.status
    reached = progress(old.progress, observed.progress, observed.attempts[-1] if observed.attempts else None)
    nodes = _nodes(job, observed, step)
    return old.model_copy(
        update={
            "phase": step.standing.phase,
            "message": message(step.standing.message),
            "observed_generation": job.generation,
            "conditions": conditions.updated(old.conditions, _facts(old, observed, step), job.generation, now),
            "attempt": step.history.attempt,
            "restarts": step.history.restarts,
            "preemptions": step.history.preemptions,
            "nodes": nodes,
            "progress": reached,
            "summary": None if nodes is None else summary(reached or Progress(), nodes),
            "last_failure": step.failure or old.last_failure,
            "start_time": _start_time(old, observed, step, now),
            "completion_time": None if step.finished_at is None else rfc3339(step.finished_at),
            "output": output(job),
        }
    )


def output(job: Job) -> str | None:
    """Where the results are, as in pvc://runs/qwen3-sft; None without an output volume."""
    folder = None if job.job is None else output_folder(job.key.name, job.job.spec)
    return None if folder is None else word(f"pvc://{folder[0]}/{folder[1]}")


def _facts(old: FineTuneJobStatus, observed: Observed, step: Step) -> Iterator[Fact]:
    started = old.start_time is not None or step.creates or bool(observed.attempts)
    if step.accepted is not None:
        yield step.accepted
    elif started and not conditions.holds(old.conditions, "Accepted"):  # The write that told of it was lost.
        yield Fact("Accepted", True, "Accepted")
    yield from conditions.facts(step.standing, old.conditions)


def _nodes(job: Job, observed: Observed, step: Step) -> Nodes | None:
    if job.job is None:
        return None
    pods = observed.attempts[-1].pods if observed.attempts and not step.creates else ()
    return Nodes(desired=job.spec.distributed.nodes, ready=len({pod.rank for pod in pods if pod.present and pod.ready}))


def _start_time(old: FineTuneJobStatus, observed: Observed, step: Step, now: float) -> str | None:
    if old.start_time is not None:
        return old.start_time
    if observed.attempts:
        return rfc3339(observed.attempts[0].created_at)
    return rfc3339(now) if step.creates else None
