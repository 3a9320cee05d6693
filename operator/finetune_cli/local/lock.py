"""Two runs never share an output folder: the folder's lock, held until the last launcher has left."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune_api.contract import STATE_DIR
from finetune_trainer.errors import UserError

LOCK_FILE = "lock"
_POLL = 0.2


@contextmanager
def folder_lock(output: Path, patience: float = 30.0) -> Iterator[int]:
    """Hold the lock of an output folder; the file descriptor is for the launchers to inherit.

    A launcher that inherits it keeps the folder locked while it saves, even when this process has been killed.

    Args:
        patience: seconds to wait for the launchers of a run whose own process is gone.

    Raises:
        UserError: OutputInUse, naming the process that holds it; OutputNotWritable.
    """
    path = output / STATE_DIR / LOCK_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError("OutputNotWritable", f"{output}: {error.strerror}.", "Choose another folder with --output DIR.") from None
    try:
        _acquire(handle, output, patience)
        os.truncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _acquire(handle: int, output: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 32, 0).decode()
            if time.monotonic() < deadline and owner.isdigit() and not Path(f"/proc/{owner}").exists():
                time.sleep(_POLL)
                continue
            raise UserError(
                "OutputInUse",
                f"{output} is in use by another run (process {owner or 'unknown'}).",
                "Wait for it, stop it with Ctrl-C, or choose another folder with --output DIR.",
            ) from None
        else:
            return
