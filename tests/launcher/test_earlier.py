"""What a launcher makes of an output folder that has been used before. No torch is waited for."""

import json
from pathlib import Path

import pytest

from finetune_api.contract import ExitCode
from finetune_api.load import load_job
from finetune_trainer import fence
from finetune_trainer.fence import Token
from finetune_trainer.results.resolved_job import write_resolved_job

LOG = [
    {"current_steps": 4, "total_steps": 5, "loss": 2.5, "epoch": 0.8},
    {"current_steps": 5, "total_steps": 5, "loss": 2.25, "epoch": 1.0},
    {"current_steps": 5, "total_steps": 5, "eval_loss": 2.0, "epoch": 1.0},
]


def earlier_run(group, *, name="t", nnodes=1, done=False, step=None, **training):
    """A run of attempt 7 of a job that was created long ago."""
    job = load_job(group.write_job(nnodes), [f"metadata.name={name}", *[f"spec.training.{k}={v}" for k, v in training.items()]])
    fence.claim(group.output / ".finetune", 0, Token(1_600_000_000, 7, "old"))
    write_resolved_job(job, group.output)
    (group.output / "trainer_log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LOG))
    if step is not None:
        (group.output / f"checkpoints/step-{step:08d}").mkdir(parents=True)
    if done:
        (group.output / ".finetune/done.json").write_text("{}")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def created_again(group, **arguments):
    return group.start("succeed", FINETUNE_JOB_CREATED="1700000000", **arguments)


def test_a_job_that_was_completed_here_is_done_at_once_on_all_nodes(nodes):
    group = nodes()
    earlier_run(group, nnodes=2, done=True, step=5)
    before = content(group.output)
    started = [created_again(group, rank=rank, nnodes=2) for rank in (0, 1)]
    assert [node.ended() for node in started] == [ExitCode.OK, ExitCode.OK]
    assert content(group.output) == before
    said = started[0].termination
    assert said["reason"] == "Completed" and "holds the result of this very job already" in said["message"]
    assert {"phase": "done", "step": 5, "totalSteps": 5, "loss": 2.25, "evalLoss": 2.0}.items() <= said["progress"].items()
    assert "progress" not in started[1].termination


@pytest.mark.parametrize(
    ("run", "reason", "says"),
    [
        (
            {"step": 4, "learningRate": "1e-5"},
            "SettingsChanged",
            "spec.training.learningRate: 1e-05 -> 0.0002. To go on from its checkpoints, put the settings back.",
        ),
        (
            {"name": "other"},
            "OutputOfAnotherJob",
            "belongs to the job other, and this one is t. Create the job again",
        ),
    ],
    ids=["settings", "job"],
)
def test_a_folder_of_something_else_is_refused_and_left_alone(nodes, run, reason, says):
    """Also by nodes other than 0: their token would fence whoever uses the folder."""
    group = nodes()
    earlier_run(group, nnodes=2, **run)
    before = content(group.output)
    started = [created_again(group, rank=rank, nnodes=2) for rank in (1, 0)]
    assert [node.ended() for node in started] == [ExitCode.USER_ERROR, ExitCode.USER_ERROR]
    assert content(group.output) == before
    for node in started:
        assert node.termination["reason"] == reason and says in " ".join(node.termination["message"].split())


def test_a_folder_with_other_things_is_refused(nodes):
    group = nodes()
    group.output.mkdir()
    (group.output / "thesis.tex").write_text("mine")
    node = group.start("succeed")
    assert node.ended() == ExitCode.USER_ERROR
    assert node.termination["reason"] == "OutputNotOurs" and "it holds thesis.tex" in node.termination["message"]
    assert [path.name for path in group.output.iterdir()] == ["thesis.tex"]


def test_before_the_first_checkpoint_settings_may_change(nodes):
    group = nodes()
    earlier_run(group, learningRate="1e-5")
    node = created_again(group, FAKE_PREPARE="bad_row")
    assert node.ended() == ExitCode.USER_ERROR and node.termination["reason"] == "BadDataRow"
    assert load_job(group.output / "finetunejob.yaml").spec.training.learning_rate == 2e-4
    assert fence.newest(group.output / ".finetune") == fence.Generation(1_700_000_000, 0)


def test_what_an_earlier_attempt_of_the_same_number_left_means_nothing(nodes):
    """A job that was deleted and created again begins with attempt 0, beside the remains of the old one's attempt 0."""
    group = nodes()
    state = group.output / ".finetune"
    fence.claim(state, 1, Token(1_600_000_000, 0, "old"))
    (state / "failed-1600000000-0-1.json").write_text(
        json.dumps({"node_rank": 1, "exit_code": 64, "reason": "BadDataRow", "message": "old"})
    )
    (state / "prepared-1600000000-0.json").write_text("{}")
    node = created_again(group, rank=0, nnodes=2, FAKE_PREPARE="bad_row")
    other = created_again(group, rank=1, nnodes=2)
    assert (node.ended(), other.ended()) == (ExitCode.USER_ERROR, ExitCode.RETRYABLE)
    assert "Node 0 has failed (BadDataRow)" in other.termination["message"] and "line 7" in node.termination["message"]
