"""`finetune validate`: the whole text of a few runs, so that its wording is looked at when it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finetune_api.extra_args import training_argument_names
from finetune_cli.main import app

GOOD = """\
apiVersion: finetune.dev/v1alpha1
kind: FineTuneJob
metadata: {name: good}
spec:
  model: {source: hf://Qwen/Qwen3-8B}
  dataset: {sources: [{uri: hf://tatsu-lab/alpaca, format: alpaca}]}
  output: {volume: {persistentVolumeClaim: {claimName: runs}}}
"""
LOCAL = GOOD.replace("hf://Qwen/Qwen3-8B", "file://models/qwen").partition("  output:")[0]
BAD = """\
apiVersion: finetune.dev/v1alpha1
kind: FineTuneJob
metadata:
  name: Qwen_SFT
spec:
  model:
    source: Qwen/Qwen3-8B
  dataset:
    sources:
    - uri: hf://tatsu-lab/alpaca
      format: alpaka
    evalFraction: 1.5
  learningRate: 2e-4
  training:
    per_device_train_batch_size: 4
    numTrainEpochs: "3"
    maxSteps: 0
    method: full
    lora: {rank: 8}
    extraArgs: {learning_rate: 1e-4}
  trainer:
    env:
    - {name: MASTER_ADDR, value: localhost}
    - {name: OMP_NUM_THREADS, value: 4}
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: hf}\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `finetune validate` in a folder with these files."""

    def run(*arguments: str, **files: str):
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        return CliRunner().invoke(app, ["validate", *arguments])

    monkeypatch.chdir(tmp_path)
    return run


def test_good(run):
    result = run("good.yaml", good=GOOD)
    assert (result.exit_code, result.output) == (0, "good.yaml: good ok\n")


def test_bad(run):
    result = run("bad.yaml", bad=BAD)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "bad.yaml:4: metadata.name: 'Qwen_SFT' is not a name for Kubernetes objects. Small letters, digits and -: qwen-sft.",
        "bad.yaml:7: spec.model.source: 'Qwen/Qwen3-8B' is not a model's source. "
        "Write hf://Qwen/Qwen3-8B for the hub, or file://Qwen/Qwen3-8B for a folder here.",
        "bad.yaml:11: spec.dataset.sources[0].format: 'alpaka' is not a value that it can have. "
        "Did you mean alpaca? One of: alpaca, sharegpt, openai, text.",
        "bad.yaml:12: spec.dataset.evalFraction: 1.5 is out of range. Write a number of at least 0, less than 1.",
        "bad.yaml:13: spec.learningRate: is not a field of the API. It belongs under spec.training.",
        "bad.yaml:15: spec.training.per_device_train_batch_size: is not a field of the API. Write perDeviceTrainBatchSize.",
        "bad.yaml:16: spec.training.numTrainEpochs: must be a number, not the text '3'. Leave the quotes out: 3.",
        "bad.yaml:17: spec.training.maxSteps: 0 steps train nothing. "
        "Write the number of steps, or -1 for as many as numTrainEpochs needs.",
        "bad.yaml:19: spec.training.lora: method full has no adapter. Remove lora, or write method: lora (or qlora).",
        "bad.yaml:20: spec.training.extraArgs.learning_rate: has a field of its own. Set spec.training.learningRate instead.",
        "bad.yaml:23: spec.trainer.env[0].name: this variable belongs to the launcher, which sets it itself. "
        "Remove it; nodes, processes and ports are set in spec.distributed.",
        'bad.yaml:24: spec.trainer.env[1].value: must be text, not the number 4. Write it in quotes: "4".',
        "12 problems",
    ]
    assert result.stdout == f"bad.yaml:5: on a cluster: {NO_VOLUME}\n"


NO_VOLUME = (
    "spec.output.volume: is missing: results and checkpoints would go with the pods. "
    "Write output: {volume: {persistentVolumeClaim: {claimName: CLAIM}}}."
)
RELATIVE = (
    "spec.model.source: a relative path is a path of your machine, which the cluster does not have. Put the files on a volume "
    "(pvc://CLAIM/PATH), in a ConfigMap, on the hub (hf://), or give a path inside the image (file:///)."
)


def test_what_only_a_cluster_would_refuse_is_noted(run):
    result = run("local.yaml", local=LOCAL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "local.yaml: good ok",
        f"local.yaml:4: on a cluster: {NO_VOLUME}",
        f"local.yaml:5: on a cluster: {RELATIVE}",
    ]


def test_for_a_cluster_it_is_a_problem(run):
    result = run("local.yaml", "--cluster", local=LOCAL)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [f"local.yaml:4: {NO_VOLUME}", f"local.yaml:5: {RELATIVE}", "2 problems"]


def test_several_files_and_documents(run):
    result = run("two.yaml", "broken.yaml", "none.yaml", two=f"{SECRET}---\n{GOOD}", broken="a: [\n")
    assert (result.exit_code, result.output) == (
        1,
        "two.yaml: Secret skipped: not a FineTuneJob\n"
        "two.yaml: good ok\n"
        "broken.yaml:2: not YAML: expected the node content, but found '<stream end>' in column 1.\n"
        "none.yaml: there is no such file. `finetune init` writes a job to start from.\n"
        "2 problems\n",
    )


def test_json(run):
    result = run("two.yaml", "--json", "--set", "spec.training.maxSteps=0", two=f"{SECRET}---\n{GOOD}")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "valid": False,
        "extraArgsNamesChecked": training_argument_names() is not None,
        "documents": [
            {"file": "two.yaml", "name": "Secret", "valid": False, "skipped": True, "problems": [], "clusterProblems": []},
            {
                "file": "two.yaml",
                "name": "good",
                "valid": False,
                "skipped": False,
                "problems": [
                    {
                        "path": "spec.training.maxSteps",
                        "message": "0 steps train nothing.",
                        "hint": "Write the number of steps, or -1 for as many as numTrainEpochs needs.",
                        "line": None,
                    }
                ],
                "clusterProblems": [],
            },
        ],
    }


def test_extra_args_are_checked_against_the_installed_transformers(run):
    result = run("good.yaml", good=GOOD + "  training: {extraArgs: {neftune_noise_alfa: 5}}\n")
    assert result.output == (
        "good.yaml:8: spec.training.extraArgs.neftune_noise_alfa: is no field of transformers.TrainingArguments. "
        "Did you mean neftune_noise_alpha?\n1 problem\n"
    )


def test_without_transformers_it_says_what_was_not_checked(tmp_path: Path):
    """In an interpreter that has no transformers."""
    (tmp_path / "job.yaml").write_text(GOOD + "  training: {extraArgs: {neftune_noise_alfa: 5}}\n")
    code = (
        "import sys; sys.modules['transformers'] = None; sys.argv = ['finetune', 'validate', 'job.yaml']; "
        "from finetune_cli.main import app; app()"
    )
    path = ":".join(sys.path)
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": path})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "job.yaml: good ok",
        "  names in extraArgs not checked: transformers is not installed (pip install 'finetune-operator[trainer]')",
    ]
