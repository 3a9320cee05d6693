"""SIGTERM and SIGINT to the launcher: the first asks for a save and an orderly end, the second ends at once."""

from __future__ import annotations

import signal
import time
from types import FrameType

#: A terminal's Ctrl-C reaches the whole process group, and whoever started the launcher may pass it on: both are one request.
SAME_REQUEST_SECONDS = 1.0


class Stop:
    """What was asked for so far. Times are time.monotonic()."""

    def __init__(self) -> None:
        self.requested_at: float | None = None
        self.at_once = False

    def listen(self) -> None:
        """Take over the signals; only in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def request(self) -> None:
        """Ask once, or again."""
        now = time.monotonic()
        if self.requested_at is None:
            self.requested_at = now
        elif now - self.requested_at > SAME_REQUEST_SECONDS:
            self.at_once = True

    @property
    def requested(self) -> bool:
        """Whether the end was asked for."""
        return self.requested_at is not None

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self.request()
