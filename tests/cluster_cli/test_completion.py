"""Completion: through the shell's own for `finetune`, and through kubectl's for `kubectl finetune`."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cluster.api import Api
from cluster_cli.finetune import Finetune
from finetune_cli.cluster import options
from shell.jobs import finetune_job

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / folder) for folder in ("operator", "trainer_image"))


def kubectl_asks(*words: str, env: dict[str, str] | None = None) -> list[str]:
    """What kubectl would get."""
    environment = {**os.environ, "KUBECONFIG": "/nonexistent", **(env or {}), "PYTHONPATH": PATHS}
    command = [sys.executable, "-m", "finetune_cli.completion", *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()


def test_commands_and_options():
    assert kubectl_asks("su")[0].startswith("submit\tCheck a job") and kubectl_asks("su")[-1] == ":4"
    assert {line.partition("\t")[0] for line in kubectl_asks("logs", "--")} >= {"--follow", "--node", "--rank", "--attempt"}
    assert [line.partition("\t")[0] for line in kubectl_asks("debug", "")] == ["bundle", ":4"]


def test_files_where_a_file_is_wanted():
    assert kubectl_asks("submit", "job") == [":0"]


def test_without_a_cluster_no_names_and_no_noise():
    assert kubectl_asks("status", "") == [":0"]


def test_names_of_jobs(finetune: Finetune, api: Api, namespace: str):
    for name in ("qwen3-sft", "qwen3-dpo", "llama"):
        api.create(finetune_job(namespace, name))
    assert kubectl_asks("status", "qw", env=finetune.env) == ["qwen3-dpo", "qwen3-sft", ":4"]
    assert kubectl_asks("logs", "-n", "elsewhere", "", env=finetune.env) == [":0"]


def test_kubectl_finds_it():
    """By the name that kubectl looks for beside the plugin."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["kubectl_complete-finetune"] == "finetune_cli.completion:main" and "kubectl-finetune" in scripts


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o default -F"), ("zsh", "#compdef"), ("fish", "complete --command")]
)
def test_the_shells_own(shell: str, sign: str):
    environment = {**os.environ, "PYTHONPATH": PATHS, "_FINETUNE_COMPLETE": f"source_{shell}"}
    command = [sys.executable, "-c", "from finetune_cli.main import app; app(prog_name='finetune')"]
    assert sign in subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("target", "job"),
    [
        ("qwen3", "qwen3"),
        ("ftj/here", "here"),
        ("here", None),
        ("left", None),
        ("exported", None),
        ("data", "data"),
        ("./qwen3", "qwen3"),
        ("runs/x", None),
        ("job.yaml", None),
        ("A", None),
    ],
)
def test_a_job_or_a_folder(target: str, job: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What `chat` and `plot` take a word for."""
    monkeypatch.chdir(tmp_path)
    for file in ("here/trainer_log.jsonl", "left/.finetune/run.json", "exported/model.safetensors", "data/pairs.jsonl"):
        Path(file).parent.mkdir(parents=True)
        Path(file).touch()
    assert options.job_of(Path(target)) == job
