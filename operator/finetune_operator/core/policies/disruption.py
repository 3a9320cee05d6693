"""What was done to an attempt rather than by it: such an end is not charged."""

from __future__ import annotations

from collections.abc import Iterable

from finetune_api.contract import ExitCode
from finetune_operator.core.model import Pod

#: Reason in the termination message of a node that only noticed the end of another one.
PEER_LOST = "PeerLost"


def exit_codes(pods: Iterable[Pod], disrupted: bool) -> list[int]:
    """What the pods of an attempt that did not complete left with, as far as it is known; never empty, and nobody succeeded alone.

    Args:
        disrupted: Kubernetes took a pod of the attempt away.
    """
    codes = [exit_code(pod, disrupted) for pod in pods if pod.over]
    # A failed pod stays. Where there is none, pods were taken away before they could fail.
    return [code for code in codes if code is not None and code != ExitCode.OK] or [ExitCode.PREEMPTED]


def exit_code(pod: Pod, disrupted: bool) -> int | None:
    """The code that counts for a pod; None if nothing is known.

    Args:
        disrupted: Kubernetes took a pod of the attempt away.
    """
    if pod.disrupted:
        return ExitCode.PREEMPTED
    if pod.exit is None:
        return ExitCode.RETRYABLE if pod.phase == "Failed" and not obeyed(pod) else None
    if pod.exit.code == ExitCode.OK:
        return ExitCode.OK
    return ExitCode.PREEMPTED if obeyed(pod) or (disrupted and lost_its_peer(pod)) else pod.exit.code


def obeyed(pod: Pod) -> bool:
    """It was told to leave and did not say more than that: its exit code is SIGTERM's or SIGKILL's."""
    return pod.terminating and (pod.exit is None or pod.exit.message is None)


def lost_its_peer(pod: Pod) -> bool:
    """It only noticed the end of another one."""
    return pod.exit is not None and pod.exit.message is not None and pod.exit.message.reason == PEER_LOST
