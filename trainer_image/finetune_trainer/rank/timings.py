"""When this rank reached each point of its start, how long steps, saves and a resume took, and its memory; read by bench/."""

from __future__ import annotations

import json
import os
import resource
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from finetune_trainer.strategies.held import Held


class Timings(TrainerCallback):  # type: ignore[misc]
    """Marks are Unix times; durations are seconds; memory is bytes."""

    def __init__(self, launcher_pid: int) -> None:
        self._marks = {"process_start": _process_start(launcher_pid)}
        self._steps: deque[float] = deque(maxlen=1000)
        self._saves: list[float] = []
        self._resume = 0.0
        self._held: Held | None = None
        self._step_ended: float | None = None

    def mark(self, name: str) -> None:
        """Note that a point was reached now."""
        self._marks[name] = time.time()

    def saved(self, seconds: float) -> None:
        """Note how long the loop stood still for a checkpoint."""
        self._saves.append(seconds)
        self._step_ended = None

    @contextmanager
    def resuming(self) -> Iterator[None]:
        """What happens inside is part of going on from a checkpoint."""
        started = time.perf_counter()
        yield
        self._resume += time.perf_counter() - started

    def holding(self, held: Held) -> None:
        """Note what this rank holds."""
        self._held = held

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A step has ended; the time between two ends is one step, unless something else came between."""
        now = time.perf_counter()
        if "first_step" not in self._marks:
            self.mark("first_step")
        if self._step_ended is not None:
            self._steps.append(now - self._step_ended)
        self._step_ended = now

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        steps = [round(s, 6) for s in self._steps]
        content = {**self._marks, "peak_rss_bytes": memory, "step_seconds": steps, "save_seconds": self._saves}
        content |= {"resume_seconds": self._resume}
        if self._held is not None:
            content |= {"weight_bytes": self._held.weights, "optimizer_bytes": self._held.optimizer}
        path.write_text(json.dumps(content))


def _process_start(pid: int) -> float:
    """Unix time at which a process was started (Linux: proc(5), field 22 of stat, in clock ticks since boot)."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    boot = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return boot + ticks / os.sysconf("SC_CLK_TCK")
