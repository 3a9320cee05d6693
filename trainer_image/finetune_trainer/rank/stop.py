"""The wish to stop, as told by a signal."""

from __future__ import annotations


class StopRequest:
    """SIGTERM sets it; at the end of a step the ranks agree on it (rank/schedule.py)."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        """Signal handler."""
        self.asked = True
