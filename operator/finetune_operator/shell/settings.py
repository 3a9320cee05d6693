"""kopf, reduced to what is used of it: watches that go on for ever, and nothing written to any object."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import kopf

from finetune_api.names import LABEL_JOB
from finetune_operator.shell.resources import JOBS, PODS


def kopf_settings() -> kopf.OperatorSettings:
    """Settings for `kopf.spawn_tasks`."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    for resource in (JOBS, PODS):
        settings.watching.label_selectors[resource.group, resource.version, resource.plural] = LABEL_JOB
    settings.watching.chunk_size = 500
    # kopf keeps a task and a queue for each object this long after its last event: memory, where hundreds of jobs start at once.
    settings.queueing.idle_timeout = 0.5
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = EndlessBackoffs()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    return settings


class EndlessBackoffs:
    """Seconds between tries of a request to an API server that does not answer: without end, since kopf ends when they do."""

    def __iter__(self) -> Iterator[float]:
        """From a quarter of a second to 5, a fresh row for each request."""
        delay = 0.25
        while True:
            yield delay * random.uniform(0.5, 1.0)
            delay = min(delay * 2, 5.0)


class NoDiffBase(kopf.DiffBaseStorage):
    """No memory of the last state. kopf's own copies each object on each event, to find changes that nobody asks for."""

    def build(self, **_: Any) -> Any:
        """Nothing of the object."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Never stored."""

    def store(self, **_: Any) -> None:
        """Nothing to store."""


class NoProgress(kopf.ProgressStorage):
    """No memory of handlers' progress: event handlers have none."""

    def fetch(self, **_: Any) -> None:
        """Never stored."""

    def store(self, **_: Any) -> None:
        """Nothing to store."""

    def purge(self, **_: Any) -> None:
        """Nothing to purge."""

    def touch(self, **_: Any) -> None:
        """Nothing to touch."""

    def clear(self, *, essence: Any) -> Any:
        """The same object, not a copy."""
        return essence
