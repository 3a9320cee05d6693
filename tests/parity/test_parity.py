"""The loss does not depend on how the global batch is spread over ranks and accumulation steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gang
from finetune_trainer.rank.digest import digest

pytestmark = pytest.mark.parity

GLOBAL_BATCH, STEPS = 16, 8
LOSS_TOLERANCE, NORM_TOLERANCE = 1e-4, 1e-3


def train(folder: Path, tiny_llama: Path, *, method: str, packing: bool, ranks: int, accumulation: int) -> gang.Ran:
    training: dict[str, Any] = {
        "method": method,
        "maxSteps": STEPS,
        "perDeviceTrainBatchSize": GLOBAL_BATCH // ranks // accumulation,
        "gradientAccumulationSteps": accumulation,
        "perDeviceEvalBatchSize": 3,
        "learningRate": 2e-3,
        "evalSteps": 4,
    }
    data = gang.write_alpaca(folder / "data.jsonl", 100)
    dataset = {"packing": packing, "evalFraction": 0.1}
    return gang.run(gang.job(tiny_llama, data, training, dataset=dataset), folder / "out", ranks)


@pytest.fixture(scope="module")
def reference(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One process, no accumulation; made once for each (method, packing)."""
    made: dict[tuple[str, bool], gang.Ran] = {}

    def get(method: str, packing: bool) -> gang.Ran:
        if (method, packing) not in made:
            folder = tmp_path_factory.mktemp("reference")
            made[method, packing] = train(folder, tiny_llama, method=method, packing=packing, ranks=1, accumulation=1)
        return made[method, packing]

    return get


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("packing", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize(("ranks", "accumulation"), [(1, 4), (2, 1), (2, 4), (4, 1), (4, 4)])
def test_same_curve(
    reference: Any, tiny_llama: Path, tmp_path: Path, method: str, packing: bool, ranks: int, accumulation: int
) -> None:
    expected = reference(method, packing)
    ran = train(tmp_path, tiny_llama, method=method, packing=packing, ranks=ranks, accumulation=accumulation)
    assert len(ran.lines) == STEPS and len(ran.evaluations) == STEPS // 4
    for theirs, ours in zip(expected.lines, ran.lines, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=LOSS_TOLERANCE)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], abs=NORM_TOLERANCE)
        assert (ours["samples"], ours["sample_digest"]) == (theirs["samples"], theirs["sample_digest"])
    for theirs, ours in zip(expected.evaluations, ran.evaluations, strict=True):
        assert ours["eval_loss"] == pytest.approx(theirs["eval_loss"], abs=LOSS_TOLERANCE)


def test_the_curve_falls_and_each_sample_is_used_once_an_epoch(tiny_llama: Path, tmp_path: Path) -> None:
    """Otherwise equal curves would prove little. 100 samples in global batches of 12: the last one of an epoch is not full."""
    data = gang.write_alpaca(tmp_path / "data.jsonl", 100)
    training = {"method": "full", "numTrainEpochs": 3, "perDeviceTrainBatchSize": 6, "learningRate": 3e-3}
    ran = gang.run(gang.job(tiny_llama, data, training), tmp_path / "out", ranks=2)
    assert ran.lines[-1]["loss"] < ran.lines[0]["loss"] - 1
    for epoch in range(3):
        lines = [line for line in ran.lines if epoch < line["epoch"] <= epoch + 1]
        assert sum(line["samples"] for line in lines) == 100
        assert sum(int(line["sample_digest"], 16) for line in lines) == digest(range(100))
