"""Requests to stop: the first saves and stops, a second stops at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Wrappers pass on the signal that the terminal has already sent; the same key press must not count twice.
_ECHO_SECONDS = 0.3


class StopRequests:
    """Counts them. Safe to call from a signal handler."""

    def __init__(self) -> None:
        self._count, self._last = 0, -_ECHO_SECONDS

    def request(self) -> None:
        """One more request to stop, unless it is the echo of the last one."""
        now = time.monotonic()
        if now - self._last >= _ECHO_SECONDS:
            self._count += 1
        self._last = now

    @property
    def asked(self) -> bool:
        """Save and stop."""
        return self._count > 0

    @property
    def at_once(self) -> bool:
        """Stop without saving."""
        return self._count > 1


@contextmanager
def stop_on_signals() -> Iterator[StopRequests]:
    """SIGINT (Ctrl-C), SIGTERM and SIGHUP become requests to stop. Main thread only."""
    stop = StopRequests()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.request()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
