"""Answers that hold for a moment: whoever asks the same meanwhile shares one request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Recent:
    """What was read within the last `seconds`. "There is none" and errors are never kept, so that a user who mends something is
    not told yesterday's answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked: dict[Hashable, asyncio.Future[Any]] = {}

    async def read(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to `ask`, or one of the last seconds to the same `key`.

        Raises:
            Exception: what `ask` raised, for everybody who waited for it.
        """
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.ensure_future(ask())
            asked.add_done_callback(lambda _: self._keep(key, asked))
        answer: T = await asyncio.shield(asked)
        return answer

    def _keep(self, key: Hashable, asked: asyncio.Future[Any]) -> None:
        there = not asked.cancelled() and asked.exception() is None and asked.result() is not None
        asyncio.get_running_loop().call_later(self._seconds if there else 0, self._asked.pop, key, None)
