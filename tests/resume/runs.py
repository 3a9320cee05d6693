"""Start `finetune run` as a user does, look at its processes, and disturb them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

#: A run of the tiny model takes about 20 s on a busy machine; nothing here waits longer than this.
PATIENCE = 120


class Run:
    """One `finetune run` command. `files`: folder of the job file and of what the command prints; default: beside the output."""

    def __init__(self, job: dict[str, Any], output: Path, files: Path | None = None) -> None:
        self.output, files = output, files or output.parent
        job_file = files / f"{output.name}.yaml"
        job_file.write_text(yaml.safe_dump(job))
        command = [sys.executable, "-m", "finetune_cli.main", "run", str(job_file), "--output", str(output), "--plain"]
        self.log = files / f"{output.name}.log"
        self._file = self.log.open("a")
        self.process = subprocess.Popen(
            command, stdout=self._file, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True
        )

    def finish(self) -> int:
        """Wait for the command; its exit code."""
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.stop()

    def wait_for_step(self, step: int) -> None:
        """Until trainer_log.jsonl has reached `step`."""
        log = self.output / "trainer_log.jsonl"
        self._until(lambda: log.exists() and log.read_bytes().count(b"\n") >= step, f"step {step}")

    def node_log(self) -> str:
        """What the launcher and ranks of node 0 have printed, in all attempts."""
        return "".join(path.read_text() for path in sorted(self.output.glob("logs/attempt-*/node-0.log")))

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def launchers(self) -> list[psutil.Process]:
        """The launcher of each node."""
        return [p for p in psutil.Process(self.process.pid).children() if "finetune_trainer" in p.cmdline()]

    def ranks(self) -> list[psutil.Process]:
        """All rank processes: the children of the launchers' forkservers."""
        servers = [p for launcher in self.launchers() for p in launcher.children() if any("forkserver" in a for a in p.cmdline())]
        return [rank for server in servers for rank in server.children()]

    def stop(self) -> None:
        """Leave nothing behind, also when a test has failed."""
        for process in psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []:
            process.kill()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._file.close()

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"waited for {what}:\n{self.log.read_text()[-6000:]}")
            time.sleep(0.005)
