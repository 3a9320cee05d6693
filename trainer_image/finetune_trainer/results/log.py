"""Reads trainer_log.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finetune_api.contract import LOG_FILE


def read_log(output_dir: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, in the order of steps; empty if there is no log yet.

    A last line that is still being written is left out. Where a crash made steps be done again, the later attempt's count.
    """
    try:
        text = (output_dir / LOG_FILE).read_text()
    except FileNotFoundError:
        return []
    lines: list[dict[str, Any]] = []
    for raw in text.splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        if isinstance(line, dict) and "current_steps" in line:
            lines.append(line)
    return _without_repeats(lines)


def _without_repeats(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop what an earlier attempt logged at or after the first step of a later one."""
    kept: list[dict[str, Any]] = []
    horizon: dict[int, int] = {}  # attempt -> its first step
    for line in reversed(lines):
        attempt, step = line.get("attempt", 0), line["current_steps"]
        if all(step < first for later, first in horizon.items() if later > attempt):
            horizon[attempt] = min(step, horizon.get(attempt, step))
            kept.append(line)
    return kept[::-1]
