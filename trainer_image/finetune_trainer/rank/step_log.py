"""trainer_log.jsonl: one line per logged step, and the clock behind its throughput and remaining time. Written by rank 0."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune_trainer.results.log import read_log


@dataclass
class Window:
    """What the steps since the last line have used, over all ranks."""

    first_step: int | None = None
    samples: int = 0
    tokens: int = 0
    digest: int = 0

    def add(self, step: int, samples: int, tokens: int, digest: int) -> None:
        """Add one step."""
        self.first_step = step if self.first_step is None else self.first_step
        self.samples += samples
        self.tokens += tokens
        self.digest += digest


@dataclass
class StepLog:
    """Writer of the log. On resume, lines after the checkpoint's step are removed: those steps are done again."""

    path: Path
    attempt: int
    total_steps: int
    window: Window = field(default_factory=Window)
    _elapsed_before: float = 0.0
    _tokens_before: int = 0
    _started: float = field(default_factory=time.monotonic)
    _window_started: float = field(default_factory=time.monotonic)
    _paused: float = 0.0
    _first_step: int = 0

    def continue_after(self, step: int) -> None:
        """Keep the lines up to `step` (0: none) and go on from there."""
        lines = read_log(self.path.parent) if step else []
        kept = [line for line in lines if line["current_steps"] <= step]
        scratch = self.path.with_suffix(".tmp")
        scratch.write_text("".join(json.dumps(line) + "\n" for line in kept))
        scratch.replace(self.path)
        if kept:
            self._elapsed_before = kept[-1]["elapsed_time"]
            self._tokens_before = max(line.get("total_tokens", 0) for line in kept)
        self._first_step = step
        self._started = self._window_started = time.monotonic()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time inside (evaluation, saving) does not count for throughput."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._paused += time.monotonic() - started

    def write(self, step: int, epoch: float, values: dict[str, float]) -> dict[str, Any]:
        """Write one line.

        Args:
            values: loss, lr, grad_norm, or eval_loss; the window is closed only by a line that has a loss.

        Returns:
            The line: elapsed_time, remaining_time and step_time in seconds, throughput in tokens per second over all ranks.
        """
        now = time.monotonic()
        elapsed = now - self._started
        done = step - self._first_step
        line: dict[str, Any] = {
            "current_steps": step,
            "total_steps": self.total_steps,
            **values,
            "epoch": round(epoch, 6),
            "percentage": round(100 * step / self.total_steps, 2),
            "elapsed_time": round(self._elapsed_before + elapsed, 3),
            "remaining_time": round(elapsed / done * (self.total_steps - step), 3) if done else None,
            "time": round(time.time(), 3),
            "attempt": self.attempt,
        }
        if "loss" in values:
            self._tokens_before += self.window.tokens
            busy = now - self._window_started - self._paused
            line |= {
                "throughput": round(self.window.tokens / busy, 2) if busy > 0 else None,
                "step_time": self._step_time(step, busy),
                "total_tokens": self._tokens_before,
                "first_step": self.window.first_step,
                "samples": self.window.samples,
                "sample_digest": f"{self.window.digest:x}",
            }
            self.window, self._window_started, self._paused = Window(), now, 0.0
        line = {key: value for key, value in line.items() if value is not None}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return line

    def _step_time(self, step: int, busy: float) -> float | None:
        first = self.window.first_step
        return None if first is None else round(busy / (step - first + 1), 6)
