"""Strategies on two nodes of the real cluster: the loss of one process on this machine, and the same bits after a killed pod."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gang
from strategies.presets import LOSS_TOLERANCE, distributed
from trained import nothing_lost_or_done_twice, steps, weights_sha256

from .jobs import EPOCHS, SAMPLES, SAVE_STEPS, STEPS, training
from .world import Manifest, World

pytestmark = [pytest.mark.e2e, pytest.mark.strategies, pytest.mark.timeout(900)]

DISTURB_AT = 2 * SAVE_STEPS + 3


def job(name: str, preset: str, method: str) -> Manifest:
    """No dropout, so that one process draws the same numbers as two."""
    lora: dict[str, Any] = {"rank": 4} if method == "lora" else {}
    manifest = training(name, training={"method": method, "lora": lora, "learningRate": 1e-3})
    manifest["spec"]["distributed"] |= distributed(preset)
    return manifest


@pytest.fixture(scope="session")
def alone(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[float]]:
    """The losses of one process on this machine, by method."""

    @cache
    def train(method: str) -> list[float]:
        folder = tmp_path_factory.mktemp("alone")
        spec = job("alone", "ddp", method)["spec"]
        data = gang.write_alpaca(folder / "pairs.jsonl", SAMPLES)
        settings = spec["training"] | {"perDeviceTrainBatchSize": 2}
        return [line["loss"] for line in gang.run(gang.job(tiny_llama, data, settings), folder / "out", 1).lines]

    return train


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("preset", ["ddp", "zero2", "zero3", "zero3-offload", "fsdp2"])
def test_same_loss_and_same_bits_after_a_killed_pod(
    world: World, alone: Callable[[str], list[float]], preset: str, method: str
) -> None:
    world.apply(job("calm", preset, method))
    world.until_phase("calm", "Succeeded")
    assert [line["loss"] for line in steps(world.output("calm"))] == pytest.approx(alone(method), abs=LOSS_TOLERANCE)

    world.apply(job("shot", preset, method))
    world.until_step("shot", DISTURB_AT)
    world.kill(next(pod for pod in world.pods("shot") if pod.metadata.labels["batch.kubernetes.io/job-completion-index"] == "1"))
    status = world.until_phase("shot", "Succeeded")
    assert status["attempt"] == 1
    nothing_lost_or_done_twice(world.output("shot"), total_steps=STEPS, epochs=EPOCHS, samples=SAMPLES)
    assert weights_sha256(world.output("shot")) == weights_sha256(world.output("calm"))
