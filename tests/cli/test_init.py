"""`finetune init` writes jobs that validate."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finetune_api.load import load_job
from finetune_cli.main import app


def init(*arguments: str):
    return CliRunner().invoke(app, ["init", *arguments])


def test_defaults(tmp_path: Path):
    path = tmp_path / "job.yaml"
    result = init(str(path))
    assert (result.exit_code, result.output) == (
        0,
        f"Wrote {path}. Next:\n  finetune validate {path}\n  finetune run {path}\n",
    )
    job = load_job(path)
    assert (job.metadata.name, job.spec.training.method, job.spec.training.stage) == ("my-job", "lora", "sft")
    assert path.read_text().count("#") > 8


@pytest.mark.parametrize(
    ("data_format", "method", "claim"), list(product(["alpaca", "sharegpt", "openai", "text"], ["lora", "full"], ["", "runs"]))
)
def test_every_combination_validates(data_format: str, method: str, claim: str, tmp_path: Path):
    path = tmp_path / "job.yaml"
    flags = [
        "--name",
        "on",
        "--model",
        "pvc://models/a b".replace(" ", "-"),
        "--data",
        "file:///rows: [#1].jsonl".replace(" ", "%20"),
    ]
    result = init(str(path), *flags, "--format", data_format, "--method", method, "--output", claim)
    assert result.exit_code == 0, result.output
    assert (f"  kubectl apply -f {path}\n" in result.output) == bool(claim)
    job = load_job(path)
    assert (job.metadata.name, job.dataset.sources[0].uri) == ("on", "file:///rows:%20[#1].jsonl")
    assert (job.dataset.sources[0].format, job.spec.training.method) == (data_format, method)
    assert (job.spec.output.volume is not None) == bool(claim)


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--name", "My Job", "metadata.name: 'My Job' is not a name"),
        ("--model", "Qwen/Qwen3-8B", "Write hf://Qwen/Qwen3-8B"),
        ("--format", "alpca", "Did you mean alpaca?"),
        ("--method", "dora", "One of: full, lora, qlora."),
        ("--output", "My Runs", "claimName"),
    ],
)
def test_a_wrong_answer_writes_nothing(flag: str, value: str, said: str, tmp_path: Path):
    result = init(str(tmp_path / "job.yaml"), flag, value)
    assert result.exit_code == 1 and said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_force(tmp_path: Path):
    path = tmp_path / "job.yaml"
    path.write_text("mine")
    result = init(str(path))
    assert result.exit_code == 1 and "--force" in result.stderr and path.read_text() == "mine"
    assert init(str(path), "--force").exit_code == 0 and load_job(path)


def test_it_asks_on_a_terminal_for_what_the_flags_leave_open(tmp_path: Path):
    """The first question is answered, the others take their defaults."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "finetune_cli.main", "init", "job.yaml", "--model", "hf://a/b"]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen(command, cwd=tmp_path, stdin=theirs, stdout=subprocess.PIPE, text=True, env=environment)
    os.close(theirs)
    os.write(ours, b"asked\n\n\n\n\n")
    printed, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, printed
    job = load_job(tmp_path / "job.yaml")
    assert (job.metadata.name, job.model.source) == ("asked", "hf://a/b")
    assert "Name of the job" in printed and "Model (" not in printed
