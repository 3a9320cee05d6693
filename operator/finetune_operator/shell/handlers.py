"""Triggers: a watch event puts its object into the cache and its job into the queue. Nothing is decided here.

Plain `on.event` handlers only: every other kind makes kopf write to the objects (finalizers, annotations, extra patches).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from finetune_operator.core.model import JobKey, Manifest
from finetune_operator.shell.cache import Cache, key_of
from finetune_operator.shell.login import kopf_login
from finetune_operator.shell.queue import WorkQueue
from finetune_operator.shell.resources import FINETUNE_JOBS, PODS, WATCHED, Resource

#: Conditions of a Job that ends or has ended.
_ENDING = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
#: A gang's pods start one after the other, and each passes through several states: one look at them per so many seconds is enough.
DEBOUNCE_SECONDS = 0.3


def register(registry: kopf.OperatorRegistry, cache: Cache, queue: WorkQueue[JobKey], relisted: Callable[[], object]) -> None:
    """Register the handlers; `relisted` is called when kopf lists objects anew instead of following their changes."""
    kopf.on.login(registry=registry, id="login")(kopf_login)
    for resource in WATCHED:
        kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=resource.plural)(
            _handler(resource, cache, queue, relisted)
        )


def _handler(resource: Resource, cache: Cache, queue: WorkQueue[JobKey], relisted: Callable[[], object]) -> Callable[..., Any]:
    async def changed(event: dict[str, Any], **_: object) -> None:
        manifest, deleted = event["object"], event["type"] == "DELETED"
        if event["type"] is None:
            relisted()
        if cache.watched(resource, manifest, deleted):
            if deleted or urgent(resource, manifest):
                queue.add(key_of(resource, manifest))
            else:
                queue.add_after(key_of(resource, manifest), DEBOUNCE_SECONDS)

    return changed


def urgent(resource: Resource, manifest: Manifest) -> bool:
    """Whether somebody waits for what the operator does next: the user who changed a job, or a gang that ends and starts again."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return True
    if resource == FINETUNE_JOBS:
        return bool(status.get("observedGeneration") != metadata.get("generation"))
    if resource == PODS:
        return status.get("phase") in ("Succeeded", "Failed")
    return any(condition["type"] in _ENDING and condition["status"] == "True" for condition in status.get("conditions") or [])
