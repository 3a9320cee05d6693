"""Asks node 0 of each running attempt for its progress. A node that does not answer costs nothing but the question."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from pydantic import ValidationError

from finetune_api.contract import HTTP_PORT, Progress
from finetune_operator.core.model import JobKey
from finetune_operator.core.policies.progress import presentable
from finetune_operator.shell.metrics import Metrics

_log = logging.getLogger(__name__)
_TICK_SECONDS = 0.25
_TIMEOUT_SECONDS = 3.0
_AT_ONCE = 32
_LONGEST_ANSWER = 64 * 1024
#: Until the first step people watch closely; and a pod that never answered (an own trainer) is asked rarely.
_FIRST_STEP_SECONDS = 2.0
_SILENT_AFTER = 5
_SILENT_SECONDS = 30.0


@dataclass
class _Target:
    """Node 0 of one attempt.

    Attributes:
        address: its ip; None: not running, but its last answer still counts.
        due: event loop's time of the next question.
        failures: questions in a row that were not answered.
    """

    attempt: str
    address: str | None
    due: float
    failures: int = 0
    progress: Progress | None = None
    asking: bool = field(default=False, repr=False)


class Poller:
    """Progress of all running jobs.

    Args:
        changed: called with the job whose progress is another than before.
        seconds: between two questions to a job that trains.
    """

    def __init__(self, changed: Callable[[JobKey], object], seconds: float, metrics: Metrics, port: int = HTTP_PORT) -> None:
        self._changed, self._seconds, self._metrics, self._port = changed, seconds, metrics, port
        self._first_seconds = min(seconds, _FIRST_STEP_SECONDS)
        self._targets: dict[JobKey, _Target] = {}

    def watch(self, key: JobKey, attempt: str, address: str | None) -> None:
        """Ask `address` from now on; None: stop asking, the last answer of this attempt remains."""
        target = self._targets.get(key)
        if target is None or target.attempt != attempt:
            if address is not None:
                due = asyncio.get_running_loop().time() + random.uniform(0, self._first_seconds)
                self._targets[key] = _Target(attempt, address, due)
        else:
            target.address = address

    def forget(self, key: JobKey) -> None:
        """The job is gone."""
        self._targets.pop(key, None)

    def progress(self, key: JobKey, attempt: str) -> Progress | None:
        """What node 0 of that attempt answered last."""
        target = self._targets.get(key)
        return target.progress if target and target.attempt == attempt else None

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        asking: set[asyncio.Task[None]] = set()
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=_AT_ONCE, force_close=True)
        ) as session:
            while True:
                for key, target in list(self._targets.items()):
                    if target.address and target.due <= loop.time() and not target.asking and len(asking) < _AT_ONCE:
                        target.asking = True
                        task = asyncio.create_task(self._ask(session, key, target, target.address))
                        asking.add(task)
                        task.add_done_callback(asking.discard)
                await asyncio.sleep(_TICK_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession, key: JobKey, target: _Target, address: str) -> None:
        try:
            progress = await self._get(session, address)
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
            self._metrics.polls.labels("failed").inc()
            _log.debug("no progress from %s of %s/%s: %s", address, *key, error or type(error).__name__)
            target.failures += 1
        else:
            self._metrics.polls.labels("answered").inc()
            target.failures = 0
            if progress != target.progress and self._targets.get(key) is target:
                target.progress = progress
                self._changed(key)
        finally:
            target.asking = False
            target.due = asyncio.get_running_loop().time() + self._pause(target) * random.uniform(0.9, 1.1)

    async def _get(self, session: aiohttp.ClientSession, address: str) -> Progress:
        host = f"[{address}]" if ":" in address else address
        # The answer comes from a pod, whose image anybody may have made: it cannot send the operator elsewhere, or fill its memory.
        async with session.get(f"http://{host}:{self._port}/progress", allow_redirects=False, raise_for_status=True) as response:
            answer = await response.content.read(_LONGEST_ANSWER)
        return presentable(Progress.model_validate_json(answer))

    def _pause(self, target: _Target) -> float:
        if target.failures >= _SILENT_AFTER:
            return max(self._seconds, _SILENT_SECONDS)
        return self._seconds if target.progress and target.progress.step else self._first_seconds
