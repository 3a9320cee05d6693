"""Why a volume does not mount: the API server tells it in Events only, so they are read for pods that wait long to start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from finetune_operator.core.model import Manifest, Observed, Pod
from finetune_operator.shell.kube import Kube
from finetune_operator.shell.resources import EVENTS

#: A pod that takes longer than this to start, scheduled and with nothing else to say, is looked into; then again so often.
PATIENCE_SECONDS = 5.0
_AGAIN_SECONDS = 10.0
#: Pods of a gang wait for the same reason.
_PODS = 4
_REASONS = ("FailedMount", "FailedAttachVolume")


class MountEvents:
    """Reads the Events, of each pod at most every few seconds."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._read: dict[str, tuple[float, str]] = {}

    async def messages(self, namespace: str, observed: Observed, now: float) -> dict[str, str]:
        """uid of a pod that waits -> message of its latest Event about a volume.

        Raises:
            KubeError: they could not be read.
        """
        pods = [pod for pod in _waiting(observed) if now - (pod.waiting_since or now) > PATIENCE_SECONDS][:_PODS]
        stale = [pod for pod in pods if now - self._read.get(pod.uid, (0.0, ""))[0] > _AGAIN_SECONDS]
        found = await asyncio.gather(*(self._message(namespace, pod) for pod in stale))
        self._read |= {pod.uid: (now, message) for pod, message in zip(stale, found, strict=True)}
        self._read = {uid: read for uid, read in self._read.items() if now - read[0] < 6 * _AGAIN_SECONDS}
        return {pod.uid: message for pod in pods if (message := self._read[pod.uid][1])}

    def look_again(self, observed: Observed, now: float) -> float | None:
        """In how many seconds to look at pods that wait; None if none does."""
        since = [pod.waiting_since for pod in _waiting(observed) if pod.waiting_since is not None]
        return max(PATIENCE_SECONDS + 0.5 - (now - min(since)), 0.0) or _AGAIN_SECONDS if since else None

    async def _message(self, namespace: str, pod: Pod) -> str:
        listed = await self._kube.list(EVENTS, namespace, fields=f"involvedObject.uid={pod.uid},type=Warning")
        about = [event for event in listed.items if event.get("reason") in _REASONS]
        return str(max(about, key=_time).get("message", "")) if about else ""


def _waiting(observed: Observed) -> Iterable[Pod]:
    """Pods of the newest attempt that do not start, with no other reason known."""
    pods = observed.attempts[-1].pods if observed.attempts else ()
    return [
        pod
        for pod in pods
        if pod.present and pod.waiting_since is not None and (pod.trouble is None or pod.trouble.reason == "VolumeNotMounted")
    ]


def _time(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])
