"""Whoever starts the processes, the training is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

import gang
from resume.runs import Run
from trained import steps

STEPS = 4


def test_the_loss_does_not_depend_on_the_launcher(tiny_llama: Path, tmp_path: Path) -> None:
    data = gang.write_alpaca(tmp_path / "data.jsonl", 40)
    training = {"method": "full", "maxSteps": STEPS, "perDeviceTrainBatchSize": 4, "learningRate": 2e-3}
    curves = {}
    for launcher in ("torchrun", "accelerate", "deepspeed"):
        job = gang.job(tiny_llama, data, training, distributed={"processesPerNode": 2, "launcher": launcher})
        run = Run(job, tmp_path / launcher)
        assert run.finish() == 0, run.log.read_text()
        assert ("starting the ranks: " in run.node_log()) == (launcher != "torchrun")
        curves[launcher] = [line["loss"] for line in steps(run.output)]
    assert len(curves["torchrun"]) == STEPS and curves["torchrun"][-1] < curves["torchrun"][0]
    for launcher in ("accelerate", "deepspeed"):
        assert curves[launcher] == pytest.approx(curves["torchrun"], abs=1e-6)
