"""The job that is disturbed, and what it ends with when nobody does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gang
import tiny
from trained import weights_sha256

from .expect import EPOCHS, SAMPLES, SAVE_STEPS
from .runs import Run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With dropout, so that random generators matter."""
    return tiny.make_model(tmp_path_factory.mktemp("model") / "llama", attention_dropout=0.1)


@pytest.fixture(scope="session")
def make_job(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    data = gang.write_alpaca(tmp_path_factory.mktemp("data") / "data.jsonl", SAMPLES)

    def make(method: str, **training: Any) -> dict[str, Any]:
        settings = {
            "method": method,
            "numTrainEpochs": EPOCHS,
            "perDeviceTrainBatchSize": 1,
            "gradientAccumulationSteps": 2,
            "learningRate": 1e-3,
            "saveSteps": SAVE_STEPS,
            "saveTotalLimit": 3,
            **({"lora": {"dropout": 0.1}} if method == "lora" else {}),
            **training,
        }
        return gang.job(model, data, settings, distributed={"processesPerNode": 2}, runPolicy={"gracefulStopSeconds": 20})

    return make


@pytest.fixture(scope="session")
def undisturbed(make_job: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The sha256 of the final weights of a run that nobody disturbed; made once for each method."""
    made: dict[str, str] = {}

    def get(method: str) -> str:
        if method not in made:
            run = Run(make_job(method), tmp_path_factory.mktemp("undisturbed") / "out")
            assert run.finish() == 0, run.log.read_text()
            made[method] = weights_sha256(run.output)
        return made[method]

    return get
