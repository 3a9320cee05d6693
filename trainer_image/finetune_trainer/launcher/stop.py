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
        self._signalled_at: float | None = None

    def listen(self) -> None:
        """Take over the signals; only in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def request(self) -> None:
        """Ask for a save and an orderly end; again changes nothing."""
        self.requested_at = self.requested_at or time.monotonic()

    def signalled(self) -> None:
        """A signal has come. One that follows a peer's wish to stop is still the first."""
        self.request()
        now = time.monotonic()
        self._signalled_at = self._signalled_at or now
        self.at_once = self.at_once or now - self._signalled_at > SAME_REQUEST_SECONDS

    @property
    def requested(self) -> bool:
        """Whether the end was asked for."""
        return self.requested_at is not None

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self.signalled()
