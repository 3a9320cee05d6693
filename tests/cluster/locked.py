"""One process at a time, with a lock that the kernel drops when its holder dies, and with it the commands that it was running."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.progress import Log

_held: set[int] = set()


def held() -> tuple[int, ...]:
    """File descriptors of the locks that this process holds. A command that gets them keeps the locks for as long as it runs."""
    return tuple(_held)


@contextmanager
def locked(file: Path, log: Log) -> Iterator[None]:
    """Hold an exclusive lock on `file` (made if missing, never removed), waiting for another holder after saying so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"Waiting for another process that holds {file}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        _held.add(handle.fileno())
        try:
            yield
        finally:
            _held.discard(handle.fileno())
