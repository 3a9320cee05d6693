"""No sign of life for too long: whom that means, and what they were doing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from finetune_trainer.launcher.process import Watched
from finetune_trainer.launcher.say import say

#: faulthandler writes within milliseconds, if the process can handle signals at all.
DUMP_SECONDS = 2.0


def silent(now: float, started: float, beats: Mapping[int, float | None], timeout: float) -> tuple[int, ...]:
    """Keys of `beats` (last sign of life, None: none yet) that are older than `timeout` seconds. Times: time.monotonic()."""
    return tuple(key for key, at in beats.items() if now - max(started, at or started) > timeout)


def dump_stacks(processes: Iterable[Watched]) -> None:
    """Ask each process for the stacks of its threads (SIGUSR1, faulthandler) and put them into the log."""
    alive = [process for process in processes if process.alive()]
    before = {process: _size(process.stack_file) for process in alive}
    for process in alive:
        process.signal(signal.SIGUSR1)
    deadline = time.monotonic() + DUMP_SECONDS
    while time.monotonic() < deadline and any(_size(p.stack_file) == before[p] for p in alive):
        time.sleep(0.05)
    time.sleep(0.1)  # The last one may still be writing.
    for process in alive:
        text = process.stack_file.read_text(errors="replace")[before[process] :] if _size(process.stack_file) else ""
        if not text:
            say(f"{process.name} gave no stacks: state {process.state()} (T: stopped, D: stuck in the kernel)")
        for line in text.splitlines():
            say(f"{process.name} | {line}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
