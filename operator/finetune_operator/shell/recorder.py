"""Kubernetes Events about a job, shown by `kubectl describe`."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from finetune_api.names import FIELD_MANAGER
from finetune_api.spec import API_VERSION, KIND
from finetune_operator.core.model import Event, Job, Manifest
from finetune_operator.shell.kube import Kube, KubeError

_log = logging.getLogger(__name__)
#: The API server refuses longer ones.
_LONGEST_MESSAGE = 1024


class Recorder:
    """Posts Events. One that cannot be posted is logged and dropped: the status says the same."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def record(self, job: Job, events: Iterable[Event], now: float) -> None:
        """Post `events`, in order; `now` in Unix seconds."""
        for event in events:
            _log.info("%s: %s", event.reason, event.message)
            try:
                await self._kube.post_event(event_manifest(job, event, now))
            except KubeError as error:
                _log.warning("Event %s was not posted: %s", event.reason, error)


def event_manifest(job: Job, event: Event, now: float) -> Manifest:
    """The core/v1 Event."""
    time = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = event.message if len(event.message) <= _LONGEST_MESSAGE else event.message[: _LONGEST_MESSAGE - 1] + "…"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": job.key.namespace, "name": f"{job.key.name}.{uuid.uuid4().hex[:16]}"},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": job.key.namespace,
            "name": job.key.name,
            "uid": job.uid,
            "resourceVersion": job.resource_version,
        },
        "type": event.type,
        "reason": event.reason,
        "message": message,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
