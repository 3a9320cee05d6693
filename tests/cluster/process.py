"""A program that works for the suite: it logs to a file, never outlives the suite, and has gone when it was stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_LAST_LINES = 15
_LAST_CHARACTERS = 4000
#: The kernel ends a process with the thread that started it, so all are started by one that lives as long as the suite.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starter")


class Process:
    """A program that can be started, killed and started again. The kernel kills it when the suite ends, however it ends.

    Args:
        argv: program and arguments.
        log: takes its output; added to when it is started again.
        env: its whole environment; default: that of the suite.
        cwd: its working folder.
    """

    def __init__(
        self, argv: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.argv = [str(part) for part in argv]
        self.log = log
        self._env, self._cwd = env, cwd
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. Raises RuntimeError if it runs already."""
        if self.running:
            raise RuntimeError(f"{self.argv[0]} runs already")
        with self.log.open("ab") as output:
            self._child = _STARTER.submit(
                subprocess.Popen,
                ["setpriv", "--pdeathsig", "KILL", *self.argv],
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).result()
        # Until then nothing would end it with the suite.
        while self.running and Path(f"/proc/{self.pid}/comm").read_text() == "setpriv\n":
            time.sleep(0.001)

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        if self._child is None:
            raise RuntimeError(f"{self.argv[0]} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self, seconds: float = 10.0) -> int:
        """SIGTERM, and after so many seconds SIGKILL. Returns its exit code, or minus the signal that ended it."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait()

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.running:
            os.kill(self.pid, number)

    def wait(self, seconds: float | None = None) -> int:
        """Its exit code, when it has ended. Raises subprocess.TimeoutExpired."""
        return 0 if self._child is None else self._child.wait(seconds)

    def last_lines(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])[-_LAST_CHARACTERS:]
