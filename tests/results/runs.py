"""Output folders as runs leave them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.jobs import a_job
from finetune_api.contract import ATTEMPTS_FILE, LOG_FILE, STATE_DIR
from finetune_trainer.results.resolved_job import write_resolved_job

BEGAN = 1_700_000_000.0


def lines(steps: int, *, evaluated_every: int = 20, restarted_at: int = 0) -> list[dict[str, Any]]:
    """A training log with a line per second, and an evaluation now and then."""
    log: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        place = {"current_steps": step, "total_steps": steps, "elapsed_time": float(step), "time": BEGAN + step}
        place["attempt"] = int(0 < restarted_at <= step)
        loss = 1 + math.exp(-step / 30) + 0.1 * (-1) ** step
        log.append({**place, "loss": loss, "lr": 1e-4 * step, "grad_norm": 2.0 + step % 3, "throughput": 800.0 + step % 7})
        if step % evaluated_every == 0:
            log.append({**place, "eval_loss": 1.5})
    return log


def write_run(
    folder: Path, log: Sequence[Mapping[str, Any]], attempts: Sequence[Mapping[str, Any]] = (), name: str = "tiny", **spec: Any
) -> Path:
    """An output folder with that training log and those lines of attempts.jsonl; `spec` are groups of the job's spec."""
    (folder / STATE_DIR).mkdir(parents=True)
    (folder / LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in log))
    (folder / STATE_DIR / ATTEMPTS_FILE).write_text("".join(json.dumps(line) + "\n" for line in attempts))
    write_resolved_job(a_job(folder, name, **spec), folder)
    return folder


def begun(attempt: int, at: float) -> dict[str, Any]:
    """A line of attempts.jsonl; times are seconds after BEGAN."""
    return {"event": "begun", "attempt": attempt, "time": BEGAN + at}


def phase(attempt: int, at: float, name: str, step: int | None = None) -> dict[str, Any]:
    """Another."""
    return {"event": "phase", "attempt": attempt, "time": BEGAN + at, "phase": name, "step": step}


def ended(attempt: int, at: float, code: int | None, reason: str, message: str = "", step: int | None = None) -> dict[str, Any]:
    """Another."""
    line = {"event": "ended", "attempt": attempt, "time": BEGAN + at}
    return {**line, "reason": reason, "message": message, "exitCode": code, "step": step}


#: A rank dies, the run restarts, is suspended, goes on and ends well.
ATTEMPTS = [
    begun(0, 0),
    phase(0, 1, "preparing"),
    phase(0, 5, "loading"),
    phase(0, 7, "training", 1),
    phase(0, 20, "saving", 10),
    phase(0, 22, "training", 11),
    ended(0, 30, 75, "RankFailed", "Rank 1 failed.", 15),
    begun(1, 33),
    phase(1, 35, "training", 11),
    ended(1, 50, 77, "Stopped", "Stopped on request at step 30, which is saved.", 30),
    begun(2, 90),
    phase(2, 92, "training", 31),
    phase(2, 110, "evaluating", 40),
    phase(2, 112, "finishing", 40),
    ended(2, 115, 0, "Completed", "All ranks have finished.", 40),
]
