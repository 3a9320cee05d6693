"""Whole gangs of ranks: what is in force, and what ends a run early."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import gang
from finetune_api.contract import Progress
from finetune_trainer import fence, heartbeat


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return gang.write_alpaca(tmp_path / "data.jsonl", 24)


def settings(**training: Any) -> dict[str, Any]:
    return {"method": "lora", "maxSteps": 3, "perDeviceTrainBatchSize": 4, "learningRate": 1e-3, **training}


def test_bf16_is_in_force_and_the_adapter_stays_float32(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    exact = gang.run(gang.job(tiny_llama, data, settings()), tmp_path / "fp32", ranks=1)
    rough = gang.run(gang.job(tiny_llama, data, settings(precision="bf16")), tmp_path / "bf16", ranks=1)
    assert 1e-6 < abs(exact.lines[0]["loss"] - rough.lines[0]["loss"]) < 0.05
    adapter = load_file(rough.output / "adapter_model.safetensors")
    assert {str(tensor.dtype) for tensor in adapter.values()} == {"torch.float32"}


def test_fp16_without_a_gpu_is_refused_before_anything_is_loaded(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"spec\.training\.precision: fp16 needs a GPU .* Use bf16 or fp32"):
        gang.run(gang.job(tiny_llama, data, settings(precision="fp16")), tmp_path / "out", ranks=1)


def test_gradient_checkpointing_changes_no_loss(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    plain = gang.run(gang.job(tiny_llama, data, settings()), tmp_path / "plain", ranks=2)
    recomputed = gang.run(gang.job(tiny_llama, data, settings(gradientCheckpointing=True)), tmp_path / "recomputed", ranks=2)
    for a, b in zip(plain.lines, recomputed.lines, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], abs=1e-6)


def test_extra_arguments_reach_the_trainer(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    """Adam's beta1 of 0 moves the weights differently from the second step on."""
    usual = gang.run(gang.job(tiny_llama, data, settings(warmupRatio=0)), tmp_path / "usual", ranks=1)
    other = gang.run(
        gang.job(tiny_llama, data, settings(warmupRatio=0, extraArgs={"adam_beta1": 0.0})), tmp_path / "other", ranks=1
    )
    assert usual.lines[0]["loss"] == other.lines[0]["loss"]
    assert usual.lines[-1]["loss"] != other.lines[-1]["loss"]


def test_the_heartbeat_tells_how_long_steps_and_checkpoints_take(
    tiny_llama: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gang.run(gang.job(tiny_llama, data, settings(saveSteps=2)), tmp_path / "out", ranks=1)
    (beat,) = map(heartbeat.read, tmp_path.glob("*/rank-0.json"))
    assert beat is not None
    progress = Progress(**beat.progress)
    assert progress.last_checkpoint_step == 3 and 0 < (progress.checkpoint_seconds or 0) < 60
    assert 0 < (progress.step_seconds or 0) < 60


def test_a_loss_that_is_no_number_ends_the_run(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    wild = settings(
        method="full", optim="sgd", learningRate=10.0, maxGradNorm=0.0, maxSteps=40, lrSchedulerType="constant", warmupRatio=0
    )
    with pytest.raises(RuntimeError, match=r"The loss became (nan|inf) by step \d+\. Lower spec\.training\.learningRate"):
        gang.run(gang.job(tiny_llama, data, wild), tmp_path / "out", ranks=1)


def test_a_fenced_rank_changes_nothing(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    """A newer attempt takes the output folder while an older one still trains: the older one saves no more."""
    output = tmp_path / "out"

    def newer_attempt() -> None:
        while not list((output / "checkpoints").glob("step-*")):
            time.sleep(0.01)
        fence.claim(output / ".finetune", 0, fence.Token(0, 7, "newer"))

    thread = threading.Thread(target=newer_attempt, daemon=True)
    thread.start()
    with pytest.raises(RuntimeError, match="Fenced"):
        gang.run(gang.job(tiny_llama, data, settings(maxSteps=2000, saveSteps=10)), output, ranks=2)
    thread.join()
    newest = max(int(folder.name.removeprefix("step-")) for folder in (output / "checkpoints").glob("step-*"))
    assert newest < 2000
    assert not list(output.glob("adapter_model*"))


def test_a_finished_run_whose_result_was_not_written_only_writes_it(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    job = gang.job(tiny_llama, data, settings(maxSteps=4, saveSteps=2))
    first = gang.run(job, tmp_path / "out", ranks=1)
    adapter = first.output / "adapter_model.safetensors"
    written = adapter.read_bytes()
    adapter.unlink()
    again = gang.run(job, tmp_path / "out", ranks=1)
    assert adapter.read_bytes() == written
    assert [line["current_steps"] for line in again.lines] == [1, 2, 3, 4]


def test_a_checkpoint_of_another_global_batch_is_refused(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    gang.run(gang.job(tiny_llama, data, settings(maxSteps=4, saveSteps=2)), tmp_path / "out", ranks=1)
    with pytest.raises(RuntimeError, match="was written with globalBatch 4, this run has 8"):
        gang.run(gang.job(tiny_llama, data, settings(maxSteps=6, saveSteps=2)), tmp_path / "out", ranks=2)


def test_the_same_global_batch_on_more_ranks_continues(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    whole = gang.run(gang.job(tiny_llama, data, settings(maxSteps=6, saveSteps=3)), tmp_path / "whole", ranks=1)
    gang.run(gang.job(tiny_llama, data, settings(maxSteps=6, saveSteps=3)), tmp_path / "out", ranks=1)
    for folder in (tmp_path / "out" / "checkpoints").glob("step-00000006"):
        (folder / "complete.json").unlink()
    split = gang.run(
        gang.job(tiny_llama, data, settings(maxSteps=6, saveSteps=3, perDeviceTrainBatchSize=2)), tmp_path / "out", ranks=2
    )
    for a, b in zip(whole.lines, split.lines, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], abs=1e-4)
        assert a["sample_digest"] == b["sample_digest"]


def test_tensorboard_gets_each_step_once_also_after_a_resume(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    job = gang.job(tiny_llama, data, settings(maxSteps=6, saveSteps=2, saveTotalLimit=9, reportTo=["tensorboard"]))
    first = gang.run(job, tmp_path / "out", ranks=2)
    for step in (4, 6):
        (first.output / f"checkpoints/step-{step:08d}/complete.json").unlink()
    gang.run(job, tmp_path / "out", ranks=2)
    events = EventAccumulator(str(first.output / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
