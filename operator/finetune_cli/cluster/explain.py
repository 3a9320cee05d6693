"""What happened to a job, the likely cause and what to do: the text of `finetune describe`. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

from finetune_api.contract import ExitCode
from finetune_api.restart import attempt_outcome
from finetune_api.status import Condition, ConditionType
from finetune_api.times import rfc3339
from finetune_cli import format as text
from finetune_cli.cluster.advice import AGAIN, SUCCEEDED, WATCH, Advice, advice_for
from finetune_cli.cluster.facts import AttemptFacts, JobFacts, PodFacts

#: An operator that runs writes the first status well within this many seconds.
SILENT_SECONDS = 15.0
_WIDTH = 110
_COMMAND = "$ "
#: Reasons by which a job is given up; what led to it is in lastFailure.
_GIVEN_UP = ("MaxRestartsExceeded", "UserError")


class Failing(NamedTuple):
    """What is wrong: reason, message, and where if it is one pod's."""

    reason: str
    message: str
    exit_code: int | None = None
    pod: str | None = None
    machine: str | None = None
    attempt: int | None = None
    node_rank: int | None = None


def explain(job: JobFacts, events: Iterable[dict[str, Any]] = (), *, now: float, command: str) -> list[str]:
    """The lines.

    Args:
        events: of the namespace; they tell of attempts that are no longer there.
        now: Unix seconds.
        command: how this command is called, `finetune` or `kubectl finetune`.
    """
    wrong = failing(job, now)
    advice = _advice(job, wrong)
    lines = [*_heading(job), "", "What happened", *_indented(_history(job, events))]
    if wrong is not None:
        if advice.cause:
            lines += ["", *_wrapped(wrong.message)]
        lines += ["", "Likely cause", *_wrapped(_filled(advice.cause, job, wrong, command) if advice.cause else wrong.message)]
    lines += ["", "What to do"]
    for number, step in enumerate(advice.steps, 1):
        lines += _wrapped(_filled(step, job, wrong, command), f"  {number}. ")
    return lines


def failing(job: JobFacts, now: float) -> Failing | None:
    """What is wrong with the job now; None if nothing is."""
    status = job.status
    if silent(job, now):
        age = text.duration(now - job.created_at)
        return Failing("OperatorSilent", f"No operator has looked at this job since it was created, {age} ago.")
    accepted, running, failed = (_condition(job, kind) for kind in ("Accepted", "Running", "Failed"))
    if accepted is not None and accepted.status == "False":
        return Failing(accepted.reason, accepted.message)
    if status.phase == "Failed" and failed is not None:
        return _last(job) if failed.reason in _GIVEN_UP and _last(job) else Failing(failed.reason, failed.message)
    if status.phase in ("Pending", "Restarting"):
        if waiting := _waiting_pod(job):
            return waiting
        if running is not None and running.reason not in ("PodsStarting", "Failed", "Stalled", "Preempted"):
            return Failing(running.reason, running.message)
        if status.phase == "Restarting":
            return _last(job)
        return _late(job, now)
    if running is not None and running.reason == "NodeFailed":
        return _last(job)
    return None


def silent(job: JobFacts, now: float) -> bool:
    """Whether an operator should have seen the job by now, and has not."""
    return not job.seen and now - job.created_at >= SILENT_SECONDS


def culprit(attempt: AttemptFacts) -> PodFacts | None:
    """The pod whose end explains why an attempt failed, as far as pods are left."""
    ended = [pod for pod in attempt.pods if pod.exit_code]
    outcome = attempt_outcome(pod.exit_code or 0 for pod in ended)
    worst = [pod for pod in ended if attempt_outcome([pod.exit_code or 0]) is outcome]
    worst.sort(key=lambda pod: (bool(pod.said and pod.said.reason == "PeerLost"), pod.finished_at or 0.0))
    taken = [pod for pod in attempt.pods if pod.trouble is not None]
    return next(iter([*worst, *taken]), None)


# --- what is wrong ----------------------------------------------------------------------------------------------------------------


def _condition(job: JobFacts, kind: ConditionType) -> Condition | None:
    return next((condition for condition in job.status.conditions if condition.type == kind), None)


def _last(job: JobFacts) -> Failing | None:
    """status.lastFailure, with what the pods add."""
    failure = job.status.last_failure
    if failure is None:
        return None
    about = next((one for one in job.attempts if failure.pod and failure.pod.startswith(f"{one.name}-")), None)
    pod = next((pod for pod in about.pods if pod.name == failure.pod), None) if about else None
    number = about.number if about else None
    node_rank = pod.node_rank if pod else None
    return Failing(failure.reason, failure.message, failure.exit_code, failure.pod, failure.node, number, node_rank)


def _waiting_pod(job: JobFacts) -> Failing | None:
    """A pod of the newest attempt that does not start."""
    for pod in job.attempts[-1].pods if job.attempts else ():
        if pod.trouble is not None and pod.phase == "Pending" and not pod.leaving:
            message = f"Node {pod.node_rank} (pod {pod.name}) does not run. {pod.trouble.message}"
            return Failing(pod.trouble.reason, message, None, pod.name, pod.machine, pod.attempt, pod.node_rank)
    return None


def _late(job: JobFacts, now: float) -> Failing | None:
    """Pods that take their time are told of after a while."""
    newest = job.attempts[-1] if job.attempts else None
    if newest is None or now - newest.created_at < 4 * SILENT_SECONDS:
        return None
    return Failing("PodsStarting", job.status.message)


def _advice(job: JobFacts, wrong: Failing | None) -> Advice:
    if wrong is not None:
        found = advice_for(wrong.reason, wrong.message, wrong.exit_code)
        final = job.status.phase == "Failed" and not any(AGAIN in step or "{again}" in step for step in found.steps)
        return Advice(found.cause, (*found.steps, "{again}")) if final else found
    if job.status.phase == "Succeeded":
        return SUCCEEDED
    return advice_for("Suspended", "", None) if job.status.phase in ("Suspended", "Suspending") else WATCH


def _filled(words: str, job: JobFacts, wrong: Failing | None, command: str) -> str:
    logs = f"{command} logs {job.name} -n {job.namespace}"
    if wrong is not None and wrong.attempt is not None:
        logs += f" --attempt {wrong.attempt}"
    if wrong is not None and wrong.node_rank is not None:
        logs += f" --node {wrong.node_rank}"
    values = {
        "job": job.name,
        "namespace": job.namespace,
        "finetune": command,
        "logs": logs,
        "machine": (wrong.machine if wrong else None) or "NODE",
        "pod": (wrong.pod if wrong else None) or "POD",
    }
    return words.replace("{again}", AGAIN).format(**values)


# --- what happened ----------------------------------------------------------------------------------------------------------------


def _heading(job: JobFacts) -> Iterator[str]:
    status, progress = job.status, job.status.progress
    yield f"FineTuneJob {job.name} in namespace {job.namespace}: {status.phase if job.seen else 'not seen by an operator yet'}"
    facts = [f"{job.nodes} node{'s' * (job.nodes != 1)}", f"restarts {status.restarts} of {job.max_restarts}"]
    if status.preemptions:
        facts.append(f"preemptions {status.preemptions}")
    if progress is not None and progress.step is not None:
        facts.append(f"step {progress.step} of {progress.total_steps or '?'}")
        saved = progress.last_checkpoint_step
        facts.append("no checkpoint yet" if saved is None else f"last checkpoint {saved}")
    yield f"  {', '.join(facts)}"
    if status.output:
        yield f"  results in {status.output}"


def _history(job: JobFacts, events: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f"{rfc3339(job.created_at)}  created"
    first = job.attempts[0].number if job.attempts else job.status.attempt
    if first > 0:
        yield from _from_events(job, events)
        yield f"(attempts before {first} are no longer there: the newest three are kept)"
    for attempt, following in zip_longest(job.attempts, job.attempts[1:]):
        began = attempt.started_at or attempt.created_at
        ran = f", ran {text.duration(attempt.ended_at - began)}" if attempt.ended_at is not None else ""
        yield f"{rfc3339(began)}  attempt {attempt.number}{ran}: {_ending(job, attempt)}{_following(job, attempt, following)}"
    if job.status.completion_time is not None:
        yield f"{job.status.completion_time}  {job.status.phase}"


def _from_events(job: JobFacts, events: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What the operator said about the attempts that are gone, as long as the cluster remembers."""
    own = [
        event
        for event in events
        if event.get("involvedObject", {}).get("kind") == "FineTuneJob"
        and event["involvedObject"].get("name") == job.name
        and event.get("reason") in ("Restarting", "Preempted")
    ]
    left = max(0, len(own) - max(0, len(job.attempts) - 1))
    for event in sorted(own, key=_event_time)[:left]:
        yield f"{_event_time(event)}  {event['reason']}: {_short(event.get('message', ''))}"


def _event_time(event: dict[str, Any]) -> str:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
    return f"{str(stamp)[:19]}Z"


def _ending(job: JobFacts, attempt: AttemptFacts) -> str:
    if attempt.state == "complete":
        return "finished"
    failure = job.status.last_failure
    about = failure is not None and failure.pod is not None and failure.pod.startswith(f"{attempt.name}-")
    if failure is not None and about:
        rank = None if failure.rank is None else f"rank {failure.rank}"
        return _told(failure.reason, rank, failure.exit_code, failure.pod, failure.node)
    if attempt.state == "running":
        running = sum(pod.phase == "Running" for pod in attempt.pods)
        return f"{running} of {job.nodes} nodes run"
    if attempt.state == "stopped":
        return {"suspend": "saved and stopped, because it was suspended", "deadline": "stopped at its deadline"}.get(
            attempt.stopped or "", "stopped"
        )
    if (pod := culprit(attempt)) is None:
        return "its pods were taken away, and no more is known of it"
    reason = pod.said.reason if pod.said else pod.trouble.reason if pod.trouble else pod.exit_reason or "Error"
    rank = f"rank {pod.said.rank}" if pod.said and pod.said.rank is not None else None
    return _told(reason, rank, pod.exit_code, pod.name, pod.machine)


def _told(reason: str, rank: str | None, code: int | None, pod: str | None, machine: str | None) -> str:
    named = f" ({ExitCode(code).name})" if code in {int(known) for known in ExitCode} and code is not None else ""
    where = [rank, f"exit code {code}{named}" if code is not None else None, f"pod {pod}" if pod else None]
    on = f" on node {machine}" if machine else ""
    return f"{reason}: {', '.join(part for part in where if part)}{on}"


def _following(job: JobFacts, attempt: AttemptFacts, following: AttemptFacts | None) -> str:
    """What came after an attempt that ended badly, read from the counters that the next one was created with."""
    if attempt.state == "complete" or attempt.ended_at is None:
        return ""
    restarts = following.restarts if following else job.status.restarts
    preemptions = following.preemptions if following else job.status.preemptions
    if restarts > attempt.restarts:
        return f"; restarted ({restarts} of {job.max_restarts})"
    if preemptions > attempt.preemptions:
        return "; continued, free of charge"
    if following is not None:
        return "; resumed"
    return "; given up" if job.status.phase == "Failed" else ""


# --- text -------------------------------------------------------------------------------------------------------------------------


def _indented(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from _wrapped(line, hang=24)  # Below what follows the time.


def _wrapped(words: str, first: str = "  ", hang: int = 0) -> list[str]:
    """Paragraph with hanging indent, by default that of the first line. Commands stand on lines of their own, unbroken."""
    after = " " * (hang or len(first))
    lines: list[str] = []
    for line in words.splitlines():
        if line.startswith(_COMMAND):
            lines.append(f"{after}    {line.removeprefix(_COMMAND)}")
            continue
        lines += textwrap.wrap(
            line,
            _WIDTH,
            initial_indent=after if lines else first,
            subsequent_indent=after,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _short(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 200 else f"{line[:200]} ..."
