"""What every training run must end with, however it was disturbed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from finetune_trainer.rank.digest import digest

from .jobs import EPOCHS, SAMPLES, STEPS


def lines(output: Path) -> list[dict[str, Any]]:
    """The lines of the log that have a loss."""
    found = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text().splitlines()]
    return [line for line in found if "loss" in line]


def weights_sha256(output: Path) -> str:
    """Of the adapter."""
    return hashlib.sha256((output / "adapter_model.safetensors").read_bytes()).hexdigest()


def same_bits(output: Path, calm: Path) -> None:
    """Each step once, each sample once an epoch, and the weights of the undisturbed run, bit for bit."""
    found = lines(output)
    assert [line["current_steps"] for line in found] == list(range(1, STEPS + 1))
    for epoch in range(EPOCHS):
        of_epoch = found[epoch * STEPS // EPOCHS : (epoch + 1) * STEPS // EPOCHS]
        assert sum(int(line["sample_digest"], 16) for line in of_epoch) == digest(range(SAMPLES))
    assert weights_sha256(output) == weights_sha256(calm)
