"""What a run has left in its output folder, and that nothing was lost or done twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from finetune_trainer.rank.digest import digest


def steps(output: Path) -> list[dict[str, Any]]:
    """The lines of the log that have a loss."""
    lines = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def weights_sha256(output: Path) -> str:
    """Of the final weights file."""
    (file,) = [*output.glob("model.safetensors"), *output.glob("adapter_model.safetensors")]
    return hashlib.sha256(file.read_bytes()).hexdigest()


def nothing_lost_or_done_twice(output: Path, *, total_steps: int, epochs: int, samples: int) -> None:
    """Each step once, each sample once an epoch."""
    lines, per_epoch = steps(output), total_steps // epochs
    assert [line["current_steps"] for line in lines] == list(range(1, total_steps + 1))
    for epoch in range(epochs):
        of_epoch = lines[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sum(int(line["sample_digest"], 16) for line in of_epoch) == digest(range(samples))
