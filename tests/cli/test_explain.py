"""`finetune explain` and `finetune schema`."""

from __future__ import annotations

import json

import jsonschema
import pytest
from typer.testing import CliRunner

from finetune_api.json_schema import all_fields
from finetune_cli.main import app


def explain(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_number():
    assert explain("spec.training.evalSteps") == (
        "KIND:     FineTuneJob (finetune.dev/v1alpha1)\n"
        "FIELD:    spec.training.evalSteps\n"
        "TYPE:     integer\n"
        "RANGE:    at least 1, at most 100000000\n"
        "\n"
        "  Steps between two evaluations. Default: once per epoch and at the end.\n"
        "\n"
        "REFUSED:\n"
        "  - there is nothing to evaluate on. Set dataset.evalFraction or dataset.evalSources, or remove\n"
        "    evalSteps.\n"
    )


def test_a_choice_in_a_list():
    text = explain("dataset.sources[0].format")
    assert "FIELD:    spec.dataset.sources[].format\n" in text
    assert "REQUIRED: yes\nVALUES:   alpaca, sharegpt, openai, text\n" in text


def test_children_and_defaults():
    text = explain("spec.training.lora")
    assert "  rank <integer> = 16\n" in text and "  targetModules <list of string> = [all-linear]\n" in text


def test_amounts():
    assert explain("spec.resources.sharedMemory").splitlines()[2:4] == ["TYPE:     quantity", "DEFAULT:  8Gi"]
    text = explain("spec.resources.limits")
    assert "TYPE:     map of names to quantities\n" in text and "EXAMPLES: {memory: 900Gi, nvidia.com/gpu: 8}\n" in text


def test_what_holds_on_a_cluster_only_is_marked():
    assert "  - on a cluster: a relative path is a path of your machine" in explain("spec.model.source")


def test_recursive():
    assert "  lora.rank <integer> = 16\n" in explain("spec.training", "--recursive")
    assert "  lora.rank" not in explain("spec.training")


@pytest.mark.parametrize("path", ["", "spec", *all_fields()])
def test_every_field_has_documentation(path: str):
    lines = explain(*([path] if path else [])).splitlines()
    described = lines[lines.index("") + 1]
    assert described.startswith("  ") and len(described) > 6


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("spec.training.lr", "Did you mean spec.training.learningRate?"),
        ("spec.training.warmpRatio", "Did you mean spec.training.warmupRatio?"),
        ("spec.dataset.sources.fromat", "Did you mean spec.dataset.sources[].format?"),
        ("maxSteps", "Did you mean spec.training.maxSteps?"),
        ("spec.zebra", "spec has: model, dataset, training"),
    ],
)
def test_a_typing_mistake(path: str, said: str):
    result = CliRunner().invoke(app, ["explain", path])
    assert result.exit_code == 1 and said in result.stderr and result.stdout == ""


def test_the_schema_is_one_and_refuses_what_is_unknown():
    schema = json.loads(CliRunner().invoke(app, ["schema"]).stdout)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    spec = {"model": {"source": "hf://a/b"}, "dataset": {"sources": [{"uri": "hf://a/b", "format": "openai"}]}}
    job = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "a"}, "spec": spec}
    assert validator.is_valid(job)
    assert not validator.is_valid({**job, "spec": {**spec, "trainng": {}}})
    assert not validator.is_valid({**job, "spec": {**spec, "training": {"learning_rate": 1}}})
    limits = {"nvidia.com/gpu": 8, "memory": "64Gi"}
    assert validator.is_valid({**job, "spec": {**spec, "resources": {"limits": limits}}})
    assert not validator.is_valid({**job, "spec": {**spec, "resources": {"limits": {"memory": "64GB"}}}})


def test_the_help_tells_editors_how():
    assert "yaml-language-server: $schema=" in CliRunner().invoke(app, ["schema", "--help"]).stdout
