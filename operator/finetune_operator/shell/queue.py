"""A de-duplicating queue of keys: the same key is never worked on twice at a time, and many triggers become one."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class QueueClosed(Exception):  # noqa: N818  (not an error: there is nothing to do any more)
    """No key is handed out any more."""


class WorkQueue(Generic[K]):
    """Keys that wait to be worked on.

    A key that is added while it waits is there once. A key that is added while it is worked on is handed out again after
    `done`. Of several delayed additions the earliest counts; an addition without delay replaces them all.

    Args:
        first_delay, longest_delay: seconds before the first and, doubling each time, the later retries of a key; each is
            shortened by up to a half at random, so that keys that failed together do not come back together.
        waited: told how many seconds each key waited from when it was due.
    """

    def __init__(
        self,
        first_delay: float = 0.5,
        longest_delay: float = 60.0,
        waited: Callable[[float], object] = float,
    ) -> None:
        self._first_delay, self._longest_delay, self._waited = first_delay, longest_delay, waited
        self._waiting: dict[K, float] = {}
        self._active: set[K] = set()
        self._again: dict[K, float] = {}
        self._delayed: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        """Keys that are due, not counting those being worked on."""
        return len(self._waiting) + len(self._again)

    def oldest_seconds(self) -> float:
        """How long the key has waited that was due first; 0 when none waits."""
        due = (*self._waiting.values(), *self._again.values())
        return asyncio.get_running_loop().time() - min(due) if due else 0.0

    def add(self, key: K) -> None:
        """Work on `key` as soon as possible."""
        if timer := self._delayed.pop(key, None):
            timer.cancel()
        now = asyncio.get_running_loop().time()
        if key in self._active:
            self._again.setdefault(key, now)
        elif key not in self._waiting:
            self._waiting[key] = now
            self._wake(1)

    def add_after(self, key: K, delay: float) -> None:
        """Work on `key` in `delay` seconds, or earlier if that was asked for."""
        if key in self._waiting or key in self._again:
            return
        loop = asyncio.get_running_loop()
        if timer := self._delayed.get(key):
            if timer.when() <= loop.time() + delay:
                return
            timer.cancel()
        self._delayed[key] = loop.call_later(delay, self.add, key)

    def retry(self, key: K) -> float:
        """Work on `key` again after a failure; returns the delay, which grows until `forget`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._first_delay * 2.0 ** min(failures, 30), self._longest_delay) * random.uniform(0.5, 1.0)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for a key; its worker calls `done` when it is finished with it.

        Raises:
            QueueClosed: see `close`.
        """
        loop = asyncio.get_running_loop()
        while not self._closed and not self._waiting:
            getter = loop.create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake(1)
                raise
        if self._closed:
            raise QueueClosed
        key = next(iter(self._waiting))
        self._waited(loop.time() - self._waiting.pop(key))
        self._active.add(key)
        return key

    def done(self, key: K) -> None:
        """The worker is finished with `key`."""
        self._active.discard(key)
        if (since := self._again.pop(key, None)) is not None:
            self._waiting[key] = since
            self._wake(1)

    def close(self) -> None:
        """Hand out nothing more: each `get` raises QueueClosed."""
        self._closed = True
        for timer in self._delayed.values():
            timer.cancel()
        self._delayed.clear()
        self._wake(len(self._getters))

    def _wake(self, count: int) -> None:
        while count and self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                count -= 1
