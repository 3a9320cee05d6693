"""What the chart installs."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from chart.rendered import CHART, Render
from finetune_api.crd import FOLDERS, crd_yaml, custom_resource_definition
from finetune_operator.shell.config import OperatorSettings
from render.pod_security import restricted_violations

ROOT = CHART.parents[1]

#: Every value that changes more than a word.
FULL: dict[str, Any] = {
    "image": "registry.example.com/operator:2",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "trainer": {"image": "registry.example.com/trainer:3", "imagePullPolicy": "Never"},
    "namespaces": ["team-a", "team-b"],
    "progressSeconds": 5,
    "logLevel": "DEBUG",
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "crd": {"install": False},
    "rbac": {"aggregate": False},
}
each_setting = pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


@each_setting
def test_objects(render: Render, values: dict[str, Any], golden: SnapshotAssertion):
    """The CustomResourceDefinition has a test of its own."""
    assert [each for each in render(**values) if each["kind"] != "CustomResourceDefinition"] == golden


@each_setting
@pytest.mark.parametrize("version", ["1.29", "1.36"])
def test_kubernetes_knows_every_field(render: Render, values: dict[str, Any], version: str):
    for manifest in render(**values):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_helm_finds_nothing_wrong():
    report = helm_python.lint(str(CHART), strict=True)
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"] and report["errors"] == []


def test_the_schema_is_the_models(render: Render):
    """make crd writes the files again."""
    assert [(ROOT / folder / "finetunejobs.finetune.dev.yaml").read_text() for folder in FOLDERS] == [crd_yaml()] * 2
    installed = one(render(), "CustomResourceDefinition")
    assert installed["spec"] == custom_resource_definition()["spec"]
    assert installed["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in one(render(crd={"keep": False}), "CustomResourceDefinition")["metadata"]


def test_a_namespace_with_restricted_pod_security_takes_the_operator(render: Render):
    pod = one(render(), "Deployment")["spec"]["template"]["spec"]
    assert restricted_violations(pod) == []
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_never_two_operators(render: Render):
    spec = one(render(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@each_setting
def test_the_operator_reads_what_the_chart_sets(render: Render, values: dict[str, Any]):
    (container,) = one(render(**values), "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    settings = OperatorSettings.from_env(env)
    assert settings.health_port == container["ports"][0]["containerPort"]
    assert settings.namespaces == tuple(values.get("namespaces", ()))
    assert settings.log_level == values.get("logLevel", "INFO")
    assert settings.config.progress_seconds == values.get("progressSeconds", 30)
    image = "registry.example.com/trainer:3" if values else f"finetune-trainer:{app_version()}"
    assert settings.config.trainer_image == image
    assert settings.config.image_pull_policy == ("Never" if values else "IfNotPresent")


def app_version() -> str:
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == project["version"]


@pytest.mark.parametrize(
    "values",
    [
        {"nmaespaces": []},
        {"namespaces": ["*"]},
        {"image": {"repository": "operator"}},
        {"logLevel": "info"},
        {"progressSeconds": 0},
    ],
    ids=str,
)
def test_wrong_values_are_refused(render: Render, values: dict[str, Any]):
    with pytest.raises(helm_python.HelmValuesError):
        render(**values)


def test_the_schema_knows_every_value():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(json.loads((CHART / "values.schema.json").read_text())["properties"]) == {*values, "global"}


def test_the_notes_name_the_next_command(chart: helm_python.Chart):
    notes = chart.render({}, name="ft", namespace="ops")["finetune-operator/templates/NOTES.txt"]
    assert "kubectl -n ops rollout status deployment/ft-finetune-operator" in notes
    assert "kubectl apply -f finetunejob.yaml" in notes
