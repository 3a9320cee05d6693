"""Which of the pods' ends explains why an attempt did not succeed: the most severe one, and of those the first.

Pods are seen only for as long as they are there, so what the status already tells of the attempt counts as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from finetune_api.contract import ExitCode
from finetune_api.restart import attempt_outcome
from finetune_api.status import Failure
from finetune_operator.core.model import Attempt, Exit, Pod
from finetune_operator.core.policies.disruption import PEER_LOST, exit_code, lost_its_peer, obeyed
from finetune_operator.core.text import message, word

_DISRUPTIONS = frozenset({"Disrupted", "Preempted", "NodeLost", "Evicted"})
_KILLED = 128 + 9
_MEMORY_ADVICE = (
    "Raise resources.limits.memory (resources.sharedMemory counts towards it), or lower training.perDeviceTrainBatchSize or "
    "dataset.maxLength."
)


class _Account(NamedTuple):
    """A failure with what orders it: its code, whether it is only an echo of another one, and when it happened."""

    code: int
    echo: bool
    at: float
    failure: Failure


def failure(attempt: Attempt, known: Failure | None) -> Failure | None:
    """Why the attempt does not succeed; `known` (status.lastFailure) when there is nothing newer, None when nothing failed."""
    accounts = sorted(_accounts(attempt, known), key=lambda account: (account.echo, account.at))
    outcome = attempt_outcome(account.code for account in accounts)
    for account in accounts:
        if attempt_outcome([account.code]) is outcome:
            return account.failure
    return _nothing_left(attempt) if attempt.state == "failed" and attempt.stopped is None else known


def is_about(known: Failure, attempt: Attempt) -> bool:
    """Whether the failure is one of this attempt."""
    return known.pod is not None and known.pod.startswith(f"{attempt.name}-")


def was_disruption(known: Failure) -> bool:
    """Whether Kubernetes took the pod away."""
    return known.exit_code is None and known.reason in _DISRUPTIONS


def known_code(attempt: Attempt, known: Failure | None) -> int | None:
    """The exit code that the failure in the status counts as, if it is one of this attempt."""
    if known is None or not is_about(known, attempt):
        return None
    if was_disruption(known) or (known.reason == PEER_LOST and was_disrupted(attempt, known)):
        return ExitCode.PREEMPTED
    return ExitCode.RETRYABLE if known.exit_code is None else known.exit_code


def was_disrupted(attempt: Attempt, known: Failure | None) -> bool:
    """Whether Kubernetes took a pod of the attempt away."""
    told = known is not None and is_about(known, attempt) and was_disruption(known)
    return told or any(pod.disrupted for pod in attempt.pods)


def _accounts(attempt: Attempt, known: Failure | None) -> Iterator[_Account]:
    """What explains the end of the attempt; pods that only did as they were told explain nothing."""
    known_as = known_code(attempt, known)
    if known is not None and known_as is not None:
        yield _Account(known_as, known.reason == PEER_LOST, 0.0, known)
    disrupted = was_disrupted(attempt, known)
    for pod in attempt.pods:
        if not pod.disrupted and (not pod.over or obeyed(pod)):
            continue
        code = exit_code(pod, disrupted)
        asked_to_leave = code == ExitCode.PREEMPTED and attempt.stopped is not None
        if code is not None and code != ExitCode.OK and not asked_to_leave:
            at = pod.exit.finished_at if pod.exit is not None else pod.created_at
            yield _Account(code, lost_its_peer(pod) and not pod.disrupted, at, _told(pod))


def _told(pod: Pod) -> Failure:
    """The end of a pod, in its own words, the kubelet's or ours."""
    where = f"Node {pod.rank} (pod {pod.name})"
    rank = None
    if pod.trouble is not None and (pod.disrupted or pod.exit is None):
        reason, text = pod.trouble.reason, f"{where} was taken away. {pod.trouble.message}"
    elif pod.exit is None:
        reason, text = "PodFailed", f"{where} failed before its container left an exit code."
    elif pod.exit.message is not None:
        reason, text, rank = pod.exit.message.reason, pod.exit.message.message, pod.exit.message.rank
    else:
        reason, text = _silent(where, pod, pod.exit)
    code = None if pod.disrupted or pod.exit is None else pod.exit.code
    return Failure(pod=word(pod.name), rank=rank, node=pod.node, exit_code=code, reason=word(reason), message=message(text))


def _silent(where: str, pod: Pod, ended: Exit) -> tuple[str, str]:
    """Reason and message for a container that said nothing itself."""
    if ended.reason == "OOMKilled":
        return "OutOfMemory", f"{where} used more memory than it may and was killed. {_MEMORY_ADVICE}"
    if ended.code == _KILLED:
        # A container that reached its limit should be OOMKilled, but containerd may lose that event (its issue 8893).
        text = f"{where} was killed from outside (exit code {ended.code}), most often for want of memory. "
        advice = "Raise resources.limits.memory, if one is set, and resources.requests.memory, so that it gets a node with room."
        return "Killed", text + advice
    tail = f" The end of its log:\n{ended.log_tail}" if ended.log_tail else f" Its log says more: kubectl logs {pod.name}"
    return ended.reason or "Error", f"{where} left with exit code {ended.code}.{tail}"


def _nothing_left(attempt: Attempt) -> Failure:
    text = (
        f"The pods of attempt {attempt.number} were taken away and none of them failed by itself: a node was drained or lost, they "
        "made room for others, or somebody deleted them."
    )
    return Failure(reason="Disrupted", message=text)
