"""Every preset, and jobs that differ in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gang

GLOBAL_BATCH, STEPS, SAVE_STEPS = 8, 6, 3
LOSS_TOLERANCE, NORM_TOLERANCE = 1e-4, 1e-3

ZERO = ["zero0", "zero1", "zero2", "zero2-offload", "zero3", "zero3-offload"]
FSDP = ["fsdp2", "fsdp1"]
#: Those that run without a GPU.
RUN_HERE = ["ddp", *ZERO, *FSDP]
#: One of each kind, for method qlora.
QLORA = ["ddp", "zero2", "zero3", "fsdp2"]
NEED_A_GPU = ["fsdp2-offload", "fsdp1-offload"]


def distributed(preset: str, **others: Any) -> dict[str, Any]:
    """The group `distributed` of a job."""
    if preset == "ddp":
        return others
    library = "deepspeed" if preset.startswith("zero") else "fsdp"
    return {"strategy": library, library: {"preset": preset}, **others}


def training(method: str, ranks: int, accumulation: int = 1, **others: Any) -> dict[str, Any]:
    """The group `training`: the same global batch on any number of ranks."""
    return {
        "method": method,
        "maxSteps": STEPS,
        "perDeviceTrainBatchSize": GLOBAL_BATCH // ranks // accumulation,
        "gradientAccumulationSteps": accumulation,
        "perDeviceEvalBatchSize": 3,
        "learningRate": 2e-3,
        "weightDecay": 0.01,
        "saveSteps": SAVE_STEPS,
        "saveTotalLimit": 9,
        "evalSteps": STEPS,
        **others,
    }


class Bench:
    """A model, its data, and runs of them; `reference` is one process without accumulation."""

    def __init__(self, model: Path, folder: Path, packing: bool = False) -> None:
        self.model, self._folder = model, folder
        self._data = gang.write_alpaca(folder / "data.jsonl", 64)
        self._count, self._packing = 0, packing
        self.reference: Callable[[str], gang.Ran] = cache(lambda method: self.run("ddp", method, ranks=1))

    def job(
        self, preset: str, method: str, ranks: int, accumulation: int = 1, precision: str = "fp32", **spread: Any
    ) -> dict[str, Any]:
        """A job; `spread` are further fields of `distributed`."""
        return gang.job(
            self.model,
            self._data,
            training(method, ranks, accumulation, precision=precision),
            dataset={"evalFraction": 0.1, "packing": self._packing},
            distributed=distributed(preset, **spread),
        )

    def new_folder(self) -> Path:
        """An output folder that is not there yet."""
        self._count += 1
        return self._folder / f"out-{self._count}"

    def run(
        self, preset: str, method: str, ranks: int, accumulation: int = 1, output: Path | None = None, precision: str = "fp32"
    ) -> gang.Ran:
        """Train; with `output`, go on from what is there."""
        return gang.run(self.job(preset, method, ranks, accumulation, precision), output or self.new_folder(), ranks)

    def same_curve(self, method: str, ran: gang.Ran) -> None:
        """Loss, gradient norm and evaluation loss are those of one process."""
        expected = self.reference(method)
        assert [line["current_steps"] for line in ran.lines] == list(range(1, STEPS + 1))
        for theirs, ours in zip(expected.lines, ran.lines, strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], abs=LOSS_TOLERANCE)
            assert ours["sample_digest"] == theirs["sample_digest"]
            if "grad_norm" in ours:
                assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], abs=NORM_TOLERANCE)
        assert ran.evaluations[-1]["eval_loss"] == pytest.approx(expected.evaluations[-1]["eval_loss"], abs=LOSS_TOLERANCE)


def forget_the_end(output: Path) -> None:
    """As if the run had been lost before its last checkpoint and result were there."""
    (output / f"checkpoints/step-{STEPS:08d}/complete.json").unlink()
    for name in ("model.safetensors", "adapter_model.safetensors", ".finetune/done.json"):
        (output / name).unlink(missing_ok=True)
