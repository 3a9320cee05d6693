"""Whatever happens under way, the final weights are those of the undisturbed run, bit for bit, and no step is done twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gang
import tiny
from finetune_trainer.rank.digest import digest

from .runs import Run, steps, weights_sha256

pytestmark = pytest.mark.resume

SAMPLES, EPOCHS, SAVE_STEPS = 120, 2, 7
#: Steps: micro-batch 1 x accumulation 2 x 2 ranks = 4 samples each.
STEPS = SAMPLES * EPOCHS // 4
#: Well behind the first checkpoints, well before the end.
DISTURB_AT = 2 * SAVE_STEPS + 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With dropout, so that random generators matter."""
    return tiny.make_model(tmp_path_factory.mktemp("model") / "llama", attention_dropout=0.1)


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


def check(output: Path, expected: str) -> None:
    """Same bits, each step once, each sample once an epoch."""
    lines = steps(output)
    assert [line["current_steps"] for line in lines] == list(range(1, STEPS + 1))
    for epoch in range(EPOCHS):
        of_epoch = lines[epoch * STEPS // EPOCHS : (epoch + 1) * STEPS // EPOCHS]
        assert sum(int(line["sample_digest"], 16) for line in of_epoch) == digest(range(SAMPLES))
    assert weights_sha256(output) == expected


def kill_rank(run: Run) -> None:
    run.ranks()[-1].send_signal(signal.SIGKILL)


def kill_launcher(run: Run) -> None:
    run.launchers()[0].send_signal(signal.SIGKILL)


def kill_both(run: Run) -> None:
    launcher, rank = run.launchers()[0], run.ranks()[0]
    rank.send_signal(signal.SIGKILL)
    launcher.send_signal(signal.SIGKILL)


def terminate_rank(run: Run) -> None:
    run.ranks()[-1].send_signal(signal.SIGTERM)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("disturb", [kill_rank, kill_launcher, kill_both, terminate_rank])
def test_it_restarts_by_itself(
    make_job: Callable[..., dict[str, Any]],
    undisturbed: Callable[[str], str],
    tmp_path: Path,
    method: str,
    disturb: Callable[[Run], None],
) -> None:
    run = Run(make_job(method), tmp_path / "out")
    run.wait_for_step(DISTURB_AT)
    disturb(run)
    assert run.finish() == 0, run.log.read_text()
    lines = steps(run.output)
    assert lines[-1]["attempt"] > lines[0]["attempt"], "the disturbance came too late to disturb anything"
    check(run.output, undisturbed(method))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_ctrl_c_saves_and_running_again_continues(
    make_job: Callable[..., dict[str, Any]], undisturbed: Callable[[str], str], tmp_path: Path, method: str
) -> None:
    run = Run(make_job(method), tmp_path / "out")
    run.wait_for_step(DISTURB_AT)
    run.interrupt()
    assert run.finish() == 130, run.log.read_text()
    stopped_at = steps(run.output)[-1]["current_steps"]
    assert DISTURB_AT <= stopped_at < STEPS
    assert (run.output / "checkpoints" / f"step-{stopped_at:08d}").is_dir(), "no step is lost on a graceful stop"
    again = Run(make_job(method), tmp_path / "out")
    assert again.finish() == 0, again.log.read_text()
    assert f"going on after step {stopped_at}" in again.log.read_text()
    check(run.output, undisturbed(method))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_truncated_checkpoint_is_passed_over(
    make_job: Callable[..., dict[str, Any]], undisturbed: Callable[[str], str], tmp_path: Path, method: str
) -> None:
    run = Run(make_job(method), tmp_path / "out")
    run.wait_for_step(DISTURB_AT)
    run.interrupt()
    assert run.finish() == 130, run.log.read_text()
    *_, before, newest = sorted((run.output / "checkpoints").iterdir())
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    again = Run(make_job(method), tmp_path / "out")
    assert again.finish() == 0, again.log.read_text()
    log = again.log.read_text()
    assert f"checkpoint {newest.name} is passed over: model.safetensors has" in log
    assert f"going on after step {int(before.name.removeprefix('step-'))}" in log
    check(run.output, undisturbed(method))


def test_two_ctrl_c_stop_at_once_and_nothing_is_left_running(make_job: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run = Run(make_job("full"), tmp_path / "out")
    run.wait_for_step(3)
    processes = [*run.launchers(), *run.ranks()]
    run.interrupt()
    time.sleep(0.5)  # Two signals closer than that count as one.
    run.interrupt()
    started = time.monotonic()
    assert run.process.wait(30) != 0
    assert time.monotonic() - started < 20
    deadline = time.monotonic() + 5
    while any(p.is_running() and p.status() != "zombie" for p in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [p for p in processes if p.is_running() and p.status() != "zombie"]
    run.stop()
