"""Lists everything that is watched: once to begin with, later to find what the watches missed.

kopf delivers no end for an object that vanished while a watch was interrupted, and there were releases of it whose watches fell
silent for good. The first is repaired in the cache; the second makes the operator unhealthy, so that it is started again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from finetune_api.names import LABEL_JOB
from finetune_operator.core.model import JobKey
from finetune_operator.shell.cache import Cache, key_of, uid_of
from finetune_operator.shell.kube import Kube, KubeError, NotFound, version_of
from finetune_operator.shell.resources import FINETUNE_JOBS, WATCHED

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 300.0
#: After a watch began anew: time to replay what there is.
_SETTLE_SECONDS = 3.0
_RETRY_SECONDS = 2.0
#: A watch that has not shown for so long what a list has is dead.
_SILENT_SECONDS = 60.0


class Resync:
    """Keeps the cache complete and free of what is gone.

    Args:
        namespaces: to list; none: the whole cluster at once.
        changed: called with each job of which a list said something new.
    """

    def __init__(self, kube: Kube, cache: Cache, namespaces: Sequence[str], changed: Callable[[JobKey], object]) -> None:
        self._kube, self._cache, self._changed = kube, cache, changed
        self._namespaces: Sequence[str | None] = namespaces or [None]
        self._wanted = asyncio.Event()
        self._beat = asyncio.get_running_loop().time()
        self._listed_at = 0.0
        self._versions: dict[str, int] = {}
        self.complete = False
        self.silent_watch = ""

    def soon(self) -> None:
        """List again soon: a watch began anew."""
        self._wanted.set()

    def idle_seconds(self) -> float:
        """Seconds since the loop last tried; above INTERVAL_SECONDS and a bit it hangs."""
        return asyncio.get_running_loop().time() - self._beat

    async def first(self) -> None:
        """List until it succeeds: the API server may be starting, the CRD may not be installed yet."""
        while not self.complete:
            if not await self._try():
                await asyncio.sleep(_RETRY_SECONDS)

    async def run(self) -> None:
        """List from time to time, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._wanted.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
            except TimeoutError:
                pass
            self._wanted.clear()
            if not await self._try():
                self._wanted.set()

    async def _try(self) -> bool:
        self._beat = asyncio.get_running_loop().time()
        try:
            await self._list()
        except NotFound:
            _log.error("The cluster does not know %s. Install the CustomResourceDefinition (crds/).", FINETUNE_JOBS.plural)
        except KubeError as error:
            _log.warning("Could not list: %s", error)
        else:
            self.complete = True
            return True
        return False

    async def _list(self) -> None:
        now, versions = asyncio.get_running_loop().time(), {}
        due = now - self._listed_at > _SILENT_SECONDS
        for namespace in self._namespaces:
            for resource in WATCHED:
                listed = await self._kube.list(resource, namespace, labels="" if resource == FINETUNE_JOBS else LABEL_JOB)
                for key in self._cache.listed(resource, listed, namespace=namespace):
                    self._changed(key)
                for item in listed.items:
                    versions[uid_of(item)] = version_of(item)
                    missed = self._versions.get(uid_of(item), 0) > self._cache.shown(resource, key_of(resource, item).namespace)
                    if due and missed:
                        self.silent_watch = resource.plural
        if due:
            self._listed_at, self._versions = now, versions
