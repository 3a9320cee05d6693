"""The port at which the nodes of a local run meet."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reserved_port(wanted: int) -> Iterator[int]:
    """`wanted` if it is free, else another port that is; no other local run gets the same one meanwhile.

    The nodes bind it only after the data is prepared, so that nobody listens there yet does not mean that nobody will: each run
    holds a lock in the folder for temporary files, named after its port.
    """
    for port in (wanted, *(_any_free() for _ in range(20))):
        lock = _lock(port)
        if lock is None:
            continue
        try:
            if _is_free(port):
                yield port
                return
        finally:
            os.close(lock)
    raise OSError("no free port")


def _lock(port: int) -> int | None:
    path = Path(tempfile.gettempdir()) / f"finetune-port-{os.getuid()}-{port}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        found: int = probe.getsockname()[1]
        return found
