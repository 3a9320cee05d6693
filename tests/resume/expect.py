"""What every disturbed run must end with."""

from __future__ import annotations

from pathlib import Path

from trained import nothing_lost_or_done_twice, weights_sha256

SAMPLES, EPOCHS, SAVE_STEPS = 120, 2, 7
#: Steps: micro-batch 1 x accumulation 2 x 2 ranks = 4 samples each.
STEPS = SAMPLES * EPOCHS // 4
#: Well behind the first checkpoints, well before the end.
DISTURB_AT = 2 * SAVE_STEPS + 3


def check(output: Path, expected: str) -> None:
    """Same bits, each step once, each sample once an epoch."""
    nothing_lost_or_done_twice(output, total_steps=STEPS, epochs=EPOCHS, samples=SAMPLES)
    assert weights_sha256(output) == expected
