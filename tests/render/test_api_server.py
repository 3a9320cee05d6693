"""A real API server and Job controller take what is rendered, in a namespace with restricted Pod Security."""

from __future__ import annotations

import pytest

from cluster.api import Api
from cluster.eventually import eventually
from finetune_operator.core.model import Manifest
from render import cases


@pytest.fixture
def classes(api: Api) -> None:
    """The cluster-wide objects that a podTemplate of jobs/ names."""
    priority: Manifest = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "low"}, "value": 1}
    runtime: Manifest = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "runc"}
    for plural, manifest in (("priorityclasses", priority), ("runtimeclasses", runtime)):
        path = f"/apis/{manifest['apiVersion']}/{plural}/{manifest['metadata']['name']}?fieldManager=tests"
        api.request("PATCH", path, manifest, "application/apply-patch+yaml")


@pytest.mark.usefixtures("classes")
@pytest.mark.parametrize("name", cases.NAMES)
def test_pods_appear(name: str, api: Api, namespace: str):
    job = cases.read(name)
    for manifest in cases.attempt(job):
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
        api.apply({**manifest, "metadata": {**metadata, "namespace": namespace}})

    nodes = job.spec.distributed.nodes

    def pods() -> list[Manifest]:
        assert [event["message"] for event in api.list("Event", namespace) if event["type"] == "Warning"] == []
        found = api.list("Pod", namespace)
        return found if len(found) == nodes else []

    found = eventually(pods)
    hosts = {(pod["spec"]["hostname"], pod["spec"]["subdomain"]) for pod in found}
    assert hosts == {(f"{name}-0-{rank}", f"ftj-{name}") for rank in range(nodes)}
    assert f"{name}-0-0.ftj-{name}" == cases.environment(job)["MASTER_ADDR"]
    seconds = {each["key"]: each.get("tolerationSeconds") for each in found[0]["spec"]["tolerations"]}
    assert seconds["node.kubernetes.io/not-ready"] == 60  # Not the 300 that Kubernetes adds where nothing is said.
