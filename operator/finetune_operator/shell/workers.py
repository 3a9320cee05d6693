"""Workers: each takes a key from the queue, reconciles it, and takes the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from finetune_operator.core.model import JobKey
from finetune_operator.shell.kube import KubeError
from finetune_operator.shell.logs import current_job
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.queue import QueueClosed, WorkQueue

_log = logging.getLogger(__name__)
#: Mostly they wait for the API server, which is slow when many jobs start at once.
COUNT = 32


class Workers:
    """Reconciles keys of `queue`.

    Args:
        reconcile: does it, and says in how many seconds to look again (None: when something happens).
    """

    def __init__(self, queue: WorkQueue[JobKey], reconcile: Callable[[JobKey], Awaitable[float | None]], metrics: Metrics) -> None:
        self._queue, self._reconcile, self._metrics = queue, reconcile, metrics
        self._started: dict[JobKey, float] = {}

    def longest(self) -> float:
        """Seconds that the longest of the reconciliations under way has lasted."""
        now = asyncio.get_running_loop().time()
        return max((now - started for started in self._started.values()), default=0.0)

    async def run(self) -> None:
        """Work until the queue is closed; keys being worked on are finished."""
        async with asyncio.TaskGroup() as group:
            for _ in range(COUNT):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            await self._one(key)

    async def _one(self, key: JobKey) -> None:
        loop = asyncio.get_running_loop()
        started = self._started[key] = loop.time()
        token = current_job.set(f"{key.namespace}/{key.name}")
        result = "done"
        try:
            again = await self._reconcile(key)
            self._queue.forget(key)
            if again is not None:
                self._queue.add_after(key, again)
        except KubeError as error:
            result = "failed"
            _log.warning("Trying again in %.1f s: %s", self._queue.retry(key), error)
        except Exception:
            result = "crashed"
            _log.exception("Trying again in %.1f s after an error of the operator itself", self._queue.retry(key))
        finally:
            current_job.reset(token)
            del self._started[key]
            self._queue.done(key)
            self._metrics.reconciles.labels(result).inc()
            self._metrics.reconcile_seconds.observe(loop.time() - started)
