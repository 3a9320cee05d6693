"""What every disturbed run must end with."""

from __future__ import annotations

from pathlib import Path

from finetune_trainer.rank.digest import digest

from .runs import steps, weights_sha256

SAMPLES, EPOCHS, SAVE_STEPS = 120, 2, 7
#: Steps: micro-batch 1 x accumulation 2 x 2 ranks = 4 samples each.
STEPS = SAMPLES * EPOCHS // 4
#: Well behind the first checkpoints, well before the end.
DISTURB_AT = 2 * SAVE_STEPS + 3


def check(output: Path, expected: str) -> None:
    """Same bits, each step once, each sample once an epoch."""
    lines = steps(output)
    assert [line["current_steps"] for line in lines] == list(range(1, STEPS + 1))
    for epoch in range(EPOCHS):
        of_epoch = lines[epoch * STEPS // EPOCHS : (epoch + 1) * STEPS // EPOCHS]
        assert sum(int(line["sample_digest"], 16) for line in of_epoch) == digest(range(SAMPLES))
    assert weights_sha256(output) == expected
