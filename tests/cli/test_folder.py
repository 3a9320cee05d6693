"""Whose an output folder is, and what may change between two runs in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.jobs import a_job
from finetune_api.contract import CHECKPOINTS_DIR, DONE_MARKER, LOG_FILE, STATE_DIR
from finetune_api.json_schema import all_fields
from finetune_api.spec import FineTuneJob
from finetune_cli.local.folder import delete, deletions, refusal, write_run
from finetune_cli.local.lock import LOCK_FILE, folder_lock
from finetune_trainer.results.changed_settings import FREE_TO_CHANGE, changed_settings
from finetune_trainer.results.earlier_run import FolderState, Refused, Ruling, inspect, judge
from finetune_trainer.results.resolved_job import write_resolved_job

OUT = Path("out")


def an_earlier_run(output: Path, job: FineTuneJob, *, step: int | None = None) -> None:
    with folder_lock(output):
        write_resolved_job(job, output)
        write_run(output, output, {})
        (output / LOG_FILE).write_text("{}\n")
        if step is not None:
            (output / CHECKPOINTS_DIR / f"step-{step:08d}").mkdir(parents=True)
            (output / CHECKPOINTS_DIR / f"step-{step:08d}" / "weights").write_bytes(b"x" * 5000)


def test_table_of_rulings(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    other_name = a_job(tmp_path, "other")
    other_rate = a_job(tmp_path, training={"precision": "fp32", "learningRate": 1e-5})
    mine = {"entries": ("finetunejob.yaml",), "ours": True}
    changed = Refused("SettingsChanged", "out holds a run with other settings:\n  spec.training.learningRate: 1e-05 -> 0.0002")
    table: list[tuple[FolderState, Ruling]] = [
        (FolderState(), "start"),
        (
            FolderState(entries=("a", "b", "c", "d")),
            Refused("OutputNotOurs", "out is not empty and not a run of ours (it holds a, b, c, ...)."),
        ),
        (FolderState(**mine), "start"),
        (FolderState(**mine, unreadable="what?"), Refused("OutputUnreadable", "out/finetunejob.yaml cannot be read: what?")),
        (
            FolderState(**mine, job=other_name),
            Refused("OutputOfAnotherJob", "out belongs to the job other, and this one is tiny."),
        ),
        (FolderState(**mine, job=job), "start"),
        (FolderState(**mine, job=job, saved_step=4), "continue"),
        (FolderState(**mine, job=job, saved_step=4, completed=True), "complete"),
        (FolderState(**mine, job=other_rate), "start"),
        (FolderState(**mine, job=other_rate, saved_step=4), changed),
        (FolderState(**mine, job=other_rate, completed=True), changed),
    ]
    for state, ruling in table:
        assert judge(state, job, OUT) == ruling, state
        assert not isinstance(ruling, Refused) or "--output DIR" in refusal(ruling).hint


def test_a_folder_is_read_back_as_it_was_left(tmp_path: Path) -> None:
    job, output = a_job(tmp_path), tmp_path / "out"
    assert inspect(output) == FolderState()
    an_earlier_run(output, job, step=12)
    state = inspect(output)
    assert (state.ours, state.job, state.saved_step, state.completed) == (True, job, 12, False)
    assert judge(state, job, output) == "continue"
    (output / STATE_DIR / DONE_MARKER).write_text("{}")
    assert judge(inspect(output), job, output) == "complete"
    (output / "finetunejob.yaml").write_text("kind: Nonsense")
    assert isinstance(judge(inspect(output), job, output), Refused)


def test_a_lock_alone_makes_no_run(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        assert inspect(tmp_path) == FolderState()
    (tmp_path / "thesis.tex").write_text("")
    assert not inspect(tmp_path).ours


GLOBAL_BATCH = "global batch (nodes x processesPerNode x perDeviceTrainBatchSize x gradientAccumulationSteps)"


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"runPolicy": {"maxRestarts": 0}}, {"runPolicy": {"maxRestarts": 9}}, []),
        ({"training": {"loggingSteps": 1, "saveSteps": 2}}, {"training": {"saveTotalLimit": 5, "reportTo": ["tensorboard"]}}, []),
        ({"distributed": {"nodes": 2}}, {"distributed": {"processesPerNode": 2, "masterPort": 4000}}, []),
        (
            {"resources": {"limits": {"memory": "1Gi"}}, "trainer": {"env": [{"name": "A"}]}},
            {
                "resources": {"sharedMemory": 0},
                "podTemplate": {"spec": {"nodeSelector": {"a": "b"}}},
                "model": {"source": "file://model", "tokenSecretRef": {"name": "hf"}},
                "output": {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}, "path": "a"},
            },
            [],
        ),
        (
            {"distributed": {"nodes": 2, "strategy": "deepspeed", "deepspeed": {"preset": "zero3"}}},
            {"distributed": {"processesPerNode": 2, "strategy": "fsdp", "fsdp": {"preset": "fsdp2"}}},
            [],
        ),
        ({"training": {"perDeviceTrainBatchSize": 4}}, {"training": {"gradientAccumulationSteps": 4}}, []),
        ({"distributed": {"nodes": 2}}, {}, [f"{GLOBAL_BATCH}: 2 -> 1"]),
        ({"training": {}}, {"training": {"perDeviceTrainBatchSize": 4}}, [f"{GLOBAL_BATCH}: 1 -> 4"]),
        ({"training": {"maxSteps": 5}}, {"training": {"maxSteps": 6}}, ["spec.training.maxSteps: 5 -> 6"]),
        (
            {"training": {"lora": {"targetModules": ["q_proj"]}}},
            {"training": {"lora": {"targetModules": ["q_proj", "v_proj"]}}},
            ["spec.training.lora.targetModules[1]: not set -> v_proj"],
        ),
        (
            {},
            {"dataset": {"sources": [{"uri": "file://b.json", "format": "openai"}]}},
            ["file://pairs.jsonl -> file://b.json", "alpaca -> openai"],
        ),
    ],
)
def test_changed_settings(tmp_path: Path, before: dict[str, Any], after: dict[str, Any], changes: list[str]) -> None:
    found = changed_settings(a_job(tmp_path, **before), a_job(tmp_path, **after))
    assert len(found) == len(changes)
    assert all(line.endswith(change) for line, change in zip(found, changes, strict=True))


def test_what_is_free_to_change_exists() -> None:
    assert set(FREE_TO_CHANGE) <= set(all_fields())


def test_fresh_deletes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    an_earlier_run(output, a_job(tmp_path), step=3)
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("")
    (output / "merged").symlink_to(elsewhere)
    (output / "model.safetensors").write_bytes(b"w" * 100)
    (output / "my_notes.txt").write_text("")
    found = deletions(output)
    assert (found[0].path.name, found[0].files, found[0].size) == (CHECKPOINTS_DIR, 1, 5000)
    delete(found)
    assert sorted(path.name for path in output.iterdir()) == [STATE_DIR, "my_notes.txt"]
    assert [path.name for path in (output / STATE_DIR).iterdir()] == [LOCK_FILE]
    assert (elsewhere / "precious").exists()
