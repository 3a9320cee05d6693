"""One node of a local run: its launcher process, the output it writes and the processes it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: How long processes may outlive their launcher before they are killed, and how long a killed one is waited for. What is
#: still there then is a zombie that nobody reaps, or sits in the kernel.
_ORPHAN_SECONDS, _KILLED_SECONDS = 5.0, 10.0


class LogTail:
    """Whole new lines of a growing file. Of a line that a progress bar rewrote only the last state is given."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._rest = path, 0, b""

    def read(self) -> tuple[str, ...]:
        """The lines that were completed since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return tuple(line.decode(errors="replace").rstrip("\r").rpartition("\r")[2] for line in lines)


class Node:
    """A launcher in a session of its own, so that a terminal's Ctrl-C reaches only its parent."""

    def __init__(self, rank: int, command: Sequence[str], env: Mapping[str, str], log: Path, lock: int) -> None:
        self.rank, self.tail = rank, LogTail(log)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
        self._left_at: float | None = None
        self._gone = False

    @property
    def exit_code(self) -> int | None:
        """The launcher's exit code (negative: the signal that killed it), None while it runs."""
        return self._process.poll()

    def gone(self) -> bool:
        """Whether launcher and all its processes have left; those that outlive it are killed after a while."""
        if self._gone or self.exit_code is None:
            return self._gone
        self._left_at = self._left_at or time.monotonic()
        alone = time.monotonic() - self._left_at
        self._gone = not self._signal_group(0) or alone > _ORPHAN_SECONDS + _KILLED_SECONDS
        if not self._gone and alone > _ORPHAN_SECONDS:
            self._signal_group(signal.SIGKILL)
        return self._gone

    def terminate(self) -> None:
        """Ask the launcher to save and leave; it passes the word on to its ranks."""
        if self.exit_code is None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill launcher and ranks."""
        if not self._gone:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> bool:
        """Send a signal to the launcher's process group; False if nobody is left in it."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
