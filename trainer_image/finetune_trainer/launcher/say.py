"""The launcher's log: plain text on stdout, one line per event."""

from __future__ import annotations

import sys
import time


def say(text: str) -> None:
    """Print `text` with the time (UTC) before it."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", file=sys.stdout, flush=True)


class Periodic:
    """Says a line at most every `seconds`: for waits that would otherwise fill the log or leave it empty."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next = seconds, 0.0

    def say(self, text: str) -> bool:
        """Say `text` if the last line is old enough. Returns whether it was."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + self._seconds
        say(text)
        return True
