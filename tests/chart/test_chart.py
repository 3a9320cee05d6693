"""What the chart installs."""

from __future__ import annotations

import tomllib
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from chart.rendered import CHART, VALUES, Render
from finetune_api.contract import HTTP_PORT
from finetune_api.crd import FOLDERS, crd_yaml, custom_resource_definition
from finetune_api.names import LABEL_JOB
from finetune_operator.shell.config import OperatorSettings
from render.pod_security import restricted_violations

ROOT = CHART.parents[1]

SETTINGS = sorted(VALUES.glob("*.yaml"))
each_setting = pytest.mark.parametrize(
    "values", [yaml.safe_load(file.read_text()) or {} for file in SETTINGS], ids=[file.stem for file in SETTINGS]
)
#: Kinds that are not Kubernetes' own.
FOREIGN = {"PodMonitor", "PrometheusRule"}


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
        if manifest["kind"] in FOREIGN:
            continue
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


def test_never_two_operators_without_a_lease(render: Render):
    """Not during an upgrade from one replica to two either."""
    for replicas, names in (1, []), (2, ["FINETUNE_OPERATOR_LEASE", "FINETUNE_OPERATOR_IDENTITY"]):
        spec = one(render(replicas=replicas), "Deployment")["spec"]
        assert (spec["replicas"], spec["strategy"]) == (replicas, {"type": "Recreate"})
        env = [each["name"] for each in spec["template"]["spec"]["containers"][0]["env"]]
        assert [name for name in env if name.endswith(("LEASE", "IDENTITY"))] == names


def test_the_lease_is_one_that_the_operator_may_write(render: Render):
    objects = render(replicas=2)
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    (lease,) = [each["value"] for each in container["env"] if each["name"] == "FINETUNE_OPERATOR_LEASE"]
    role = one(objects, "Role")
    assert lease == f"{role['metadata']['namespace']}/{role['rules'][1]['resourceNames'][0]}"


@each_setting
def test_the_operator_reads_what_the_chart_sets(render: Render, values: dict[str, Any]):
    (container,) = one(render(**values), "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {variable["name"]: variable.get("value", "the-pod") for variable in container["env"]}
    settings = OperatorSettings.from_env(env)
    assert settings.health_port == container["ports"][0]["containerPort"]
    assert settings.namespaces == tuple(values.get("watchNamespaces", ()))
    assert (settings.lease is not None) == (values.get("replicas", 1) > 1)
    assert settings.log_level == values.get("logLevel", "INFO")
    assert settings.config.progress_seconds == values.get("progressSeconds", 30)
    trainer = values.get("trainer", {})
    assert settings.config.trainer_image == trainer.get("image", f"finetune-trainer:{app_version()}")
    assert settings.config.image_pull_policy == trainer.get("imagePullPolicy", "IfNotPresent")


def app_version() -> str:
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_whoever_has_rights_in_namespaces_only_can_install_it(render: Render):
    objects = render(watchNamespaces=["team-a", "team-b"], crd={"install": False}, rbac={"aggregate": False})
    assert {each["metadata"].get("namespace") for each in objects} == {"team-a", "team-b", "finetune-system"}
    assert [each["metadata"]["namespace"] for each in objects if each["kind"] == "Role"] == ["team-a", "team-b"]


def test_the_roles_of_namespaces_have_the_rights_of_the_cluster_role_except_nodes(render: Render):
    (cluster_role,) = [each for each in render(rbac={"aggregate": False}) if each["kind"] == "ClusterRole"]
    role = one(render(watchNamespaces=["team-a"]), "Role")
    assert [rule for rule in cluster_role["rules"] if rule["resources"] != ["nodes"]] == role["rules"]


def test_the_network_policy_lets_through_what_the_operator_does(render: Render):
    """Progress is asked of the pods of jobs, where the launcher serves it; metrics are where the operator serves them."""
    objects = render(networkPolicy={"enabled": True}, watchNamespaces=["team-a"])
    policy, deployment = one(objects, "NetworkPolicy")["spec"], one(objects, "Deployment")["spec"]
    (progress,) = [each for each in policy["egress"] if "to" in each]
    assert progress["ports"] == [{"port": HTTP_PORT}]
    (to,) = progress["to"]
    assert to["podSelector"] == {"matchExpressions": [{"key": LABEL_JOB, "operator": "Exists"}]}
    assert to["namespaceSelector"]["matchExpressions"][0]["values"] == ["team-a"]
    (container,) = deployment["template"]["spec"]["containers"]
    assert [each["port"] for each in policy["ingress"][0]["ports"]] == [each["name"] for each in container["ports"]]


def test_whatever_selects_the_operator_selects_its_pod(render: Render):
    on = {"enabled": True}
    objects = render(networkPolicy=on, podDisruptionBudget=on, podMonitor=on, podLabels={"team": "platform"})
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    policy, budget, monitor = (one(objects, kind)["spec"] for kind in ("NetworkPolicy", "PodDisruptionBudget", "PodMonitor"))
    for selector in (policy["podSelector"], budget["selector"], monitor["selector"]):
        assert selector["matchLabels"].items() <= labels.items()
    assert labels["team"] == "platform"


def test_the_notes_name_the_next_command(chart: helm_python.Chart):
    def notes(**values: Any) -> str:
        return chart.render(values, name="ft", namespace="ops")["finetune-operator/templates/NOTES.txt"]

    assert "kubectl -n ops rollout status deployment/ft-finetune-operator" in notes()
    assert "kubectl finetune submit job.yaml\n" in notes()
    assert "kubectl finetune submit job.yaml -n team-a\n" in notes(watchNamespaces=["team-a", "team-b"])
