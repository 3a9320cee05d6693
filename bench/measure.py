"""Run one side and measure it from outside: start time, and the memory of all its processes together."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 3.0


@dataclass(frozen=True)
class Run:
    """What was seen from outside.

    Attributes:
        started: Unix time just before the command was started.
        seconds: until it had ended.
        peak_pss_bytes: most memory of all its processes together; a page that several share counts once.
    """

    started: float
    seconds: float
    peak_pss_bytes: int


def run(command: Sequence[str | Path], log: Path, cwd: Path) -> Run:
    """Run a command to its end, one compute thread per process.

    Raises:
        SystemExit: it failed; the message has the end of its log.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    peak, started = 0, time.time()
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            peak = max(peak, sum(_pss_bytes(pid) for pid in _tree(process.pid)))
            try:
                process.wait(SAMPLE_SECONDS)
            except subprocess.TimeoutExpired:
                continue
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}; {log} ends with:\n" + log.read_text()[-3000:])
    return Run(started, time.time() - started, peak)


def _tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:  # It has ended meanwhile.
        return
    for child in children:
        yield from _tree(child)


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
