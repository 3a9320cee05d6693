"""Lines of several ranks in one log: whole lines only, and those of the ranks after the first say whose they are."""

from __future__ import annotations

import io
import sys
from typing import TextIO


class PrefixedLines(io.TextIOBase):
    """A text stream that passes whole lines on to another one, each with a prefix."""

    def __init__(self, stream: TextIO, prefix: str) -> None:
        self._stream, self._prefix, self._rest = stream, prefix, ""

    def write(self, text: str) -> int:
        """Keep what has no end yet."""
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._stream.write("".join(f"{self._prefix}{line}\n" for line in lines))
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Whole lines have gone already; half a line waits for its end."""
        self._stream.flush()

    def fileno(self) -> int:
        """The descriptor below, for native code."""
        return self._stream.fileno()


def mark_lines(rank: int) -> None:
    """Let this process write whole lines, with "[rank N] " before them unless it is rank 0."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    if rank > 0:
        sys.stdout, sys.stderr = (PrefixedLines(stream, f"[rank {rank}] ") for stream in (sys.stdout, sys.stderr))
