"""Ranks that another library's launcher starts: an ordinary child process, which is left alone while they work."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from finetune_trainer.launcher import cold_rank, preload
from finetune_trainer.launcher.command import Command, task_file
from finetune_trainer.launcher.say import say
from finetune_trainer.launcher.warm import Preload
from finetune_trainer.rank.task import RankTask


class ColdStart:
    """A Starter (starter.py). The child never gets a signal that it would pass on: the ranks get theirs from our launcher."""

    def __init__(self, command: Command, nproc: int, task: RankTask, entry: str, imports: Preload) -> None:
        self.gathers = command.gathers
        self._command, self._nproc, self._task, self._entry, self._imports = command, nproc, task, entry, imports
        self._scratch = Path(task.scratch_dir)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Write what the child reads, and start it in a session of its own: Ctrl-C is our launcher's to handle."""
        for path, text in self._command.files.items():
            path.write_text(text)
        kept = {name: os.environ.get(name) for name in self._command.kept}
        cold_rank.write_task(task_file(self._scratch), self._entry, self._task, kept)
        environment = os.environ | dict(self._command.environment) | {preload.ENV_PLAN: self._imports.encode()}
        say(f"starting the ranks: {shlex.join(self._command.argv)}")
        argv = [sys.executable, "-m", "finetune_trainer.launcher.tether", *self._command.argv]
        self._child = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)

    def wait(self, seconds: float) -> bool:
        """Wait until the child has ended, but not longer than this. Returns whether it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._child is not None:
                self._child.wait(seconds)
        return not self.running

    def close(self) -> None:
        """Kill the child and whatever is in its session; ranks outside of it die with their parents."""
        if self._child is not None and self.running:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    @property
    def running(self) -> bool:
        """Whether the child is at work, and with it the keepers of the ranks."""
        return self._child is not None and self._child.poll() is None

    @property
    def pids(self) -> Mapping[int, int] | None:
        """The ranks, once all are ready, or there is nobody left who could become so."""
        over = not self.running
        found = self._numbers(cold_rank.pid_file)
        ready = [local_rank for local_rank in found if cold_rank.ready_file(self._scratch, local_rank).exists()]
        return found if len(ready) == self._nproc or (found and over) else None

    @property
    def exit_codes(self) -> Mapping[int, int]:
        """As the keepers saw it; a keeper that was killed took its rank with it."""
        return dict.fromkeys(self.pids or (), -signal.SIGKILL) | self._numbers(cold_rank.exit_file)

    @property
    def error(self) -> Exception | None:
        """The child has ended, and there never was a rank."""
        if self._child is None or self.running or self.pids is not None:
            return None
        return RuntimeError(f"{self._command.name} ended with exit code {self._child.returncode} before it had started a rank")

    def _numbers(self, file: Callable[[Path, int], Path]) -> dict[int, int]:
        paths = {local_rank: file(self._scratch, local_rank) for local_rank in range(self._nproc)}
        return {local_rank: int(path.read_text()) for local_rank, path in paths.items() if path.exists()}
