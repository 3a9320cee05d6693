"""The rights that the chart gives the operator are those that it uses, by the audit log of a real API server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chart.rendered import Render
from cluster.api import ApiError, Manifest
from cluster.binaries import CONTROL_PLANE, binaries
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from cluster.lacks import Lacking
from cluster.namespaces import RESTRICTED
from cluster.operator_process import operator_process
from unavailable import unavailable

SYSTEM, TEAM, OTHER = "finetune-system", "team-a", "team-b"
#: Every request of a service account, reads too.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
"""
#: Each right, and what would be missing without it.
NEEDED = {
    ("get", "finetunejobs"): "a status that met a later version is decided again",
    ("list", "finetunejobs"): "jobs from before the operator's start, and those whose events were lost",
    ("watch", "finetunejobs"): "new and changed jobs",
    ("delete", "finetunejobs"): "runPolicy.ttlSecondsAfterFinished",
    ("patch", "finetunejobs/status"): "where a job stands",
    ("update", "finetunejobs/finalizers"): "children that block the deletion of their job, where the API server asks for it",
    ("get", "jobs"): "whether an attempt of that name is the job's own or somebody else's",
    ("list", "jobs"): "attempts from before the operator's start; none is running twice",
    ("watch", "jobs"): "the end of an attempt",
    ("create", "jobs"): "an attempt",
    ("patch", "jobs"): "suspension, and the nudge after a failure",
    ("delete", "jobs"): "old attempts",
    ("list", "pods"): "pods from before the operator's start",
    ("watch", "pods"): "which rank failed, and of what; node 0's address",
    ("get", "services"): "whether the Service of that name is the job's own or somebody else's",
    ("create", "services"): "rank 0's name in DNS",
    ("get", "configmaps"): "configmap:// data and own configurations exist",
    ("create", "configmaps"): "the resolved job",
    ("get", "secrets"): "the token that a job names exists; metadata only",
    ("get", "persistentvolumeclaims"): "the claims that a job names exist, and more than one node may write to its output",
    ("list", "events"): "why a volume does not mount",
    ("create", "events"): "what kubectl describe tells of a job",
    ("list", "nodes"): "a node could be large enough for the job",
    ("get", "leases"): "which replica works",
    ("create", "leases"): "the Lease of the first start",
    ("patch", "leases"): "the working replica's hold on it",
}
#: Not a request of its own: the API server asks it of whoever creates a Job with an owner.
ASKED_OF_OTHERS = {("update", "finetunejobs/finalizers")}


class Installed:
    """The chart on a control plane of its own, and the operator at work with the rights of its service account."""

    def __init__(self, plane: ControlPlane, objects: list[Manifest], log: Path) -> None:
        self.api, self._audit = plane.api, plane.audit.path
        for name in (SYSTEM, TEAM, OTHER):
            self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
        for manifest in objects:
            self.api.apply(manifest)
        eventually(self._served)
        roles = [
            each
            for each in objects
            if each["kind"] in ("ClusterRole", "Role") and "aggregate-to" not in str(each["metadata"]["labels"])
        ]
        self.granted = {
            (verb, resource) for role in roles for rule in role["rules"] for verb in rule["verbs"] for resource in rule["resources"]
        }
        (deployment,) = (each for each in objects if each["kind"] == "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        env = {each["name"]: each.get("value", "the-pod") for each in container["env"] if not each["name"].endswith("HEALTH_PORT")}
        self.operator = operator_process(plane.kubeconfig_of_service_account(SYSTEM, "finetune-operator"), log, env)

    def _served(self) -> bool:
        try:
            return self.api.list("FineTuneJob") == []
        except ApiError:  # The API server has not yet taken in its new kind.
            return False

    def requests(self) -> list[tuple[str, str, str, int]]:
        """Of the operator: verb, resource, namespace, status. Discovery, which everybody may do, is left out."""
        found = []
        for line in self._audit.read_text().splitlines():
            request = json.loads(line)
            if "resource" in (target := request.get("objectRef", {})):
                resource = target["resource"] + (f"/{target['subresource']}" if "subresource" in target else "")
                found.append((request["verb"], resource, target.get("namespace", ""), request["responseStatus"]["code"]))
        return found

    def used(self) -> set[tuple[str, str]]:
        """Verb and resource of every request."""
        return {(verb, resource) for verb, resource, _, _ in self.requests()}

    def bound_in_the_cluster(self) -> bool:
        """Whether any ClusterRoleBinding names its service account."""
        return any("finetune-operator" in str(each.get("subjects")) for each in self.api.list("ClusterRoleBinding"))

    def phase(self, name: str) -> str:
        """The job's phase, or nothing."""
        found = self.api.find("FineTuneJob", TEAM, name) or {}
        return str(found.get("status", {}).get("phase", ""))


@pytest.fixture
def installed(tmp_path: Path, render: Render) -> Iterator[Callable[..., Installed]]:
    """Installs the chart with the values given, but for `withheld`, rights that its roles then lack."""
    try:
        programs = binaries(names=CONTROL_PLANE)
    except Lacking as lacking:
        unavailable(lacking)
    folder = tmp_path / "control-plane"
    folder.mkdir()
    plane = ControlPlane(programs, folder, admission=["OwnerReferencesPermissionEnforcement"])
    plane.audit.policy.write_text(POLICY)
    started: list[Installed] = []

    def install(withheld: Set[tuple[str, str]] = frozenset(), **values: Any) -> Installed:
        made = Installed(plane, without(render(**values), withheld), tmp_path / "operator.log")
        started.append(made)
        made.operator.start()
        return made

    with plane:
        yield install
        for made in started:
            made.operator.stop()


def without(objects: list[Manifest], withheld: Set[tuple[str, str]]) -> list[Manifest]:
    """The objects, with roles that lack these rights (verb and resource)."""
    for role in (each for each in objects if "rules" in each):
        role["rules"] = [
            {**rule, "resources": [resource], "verbs": [verb]}
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            if (verb, resource) not in withheld
        ]
    return objects


def a_job(namespace: str = TEAM, **spec: Any) -> Manifest:
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {
            "model": {"source": "hf://owner/model", "tokenSecretRef": {"name": "hf"}},
            "dataset": {"sources": [{"uri": "configmap://pairs/train.jsonl", "format": "alpaca"}]},
            "output": {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}},
            "resources": {"requests": {"memory": "1Gi"}},
            **spec,
        },
    }


def inputs(namespace: str) -> list[Manifest]:
    """What the job names."""
    metadata = {"namespace": namespace}
    claim = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf", **metadata}, "stringData": {"token": "x"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pairs", **metadata}, "data": {"train.jsonl": "{}"}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "runs", **metadata}, "spec": claim},
    ]


@contextmanager
def in_the_way(installed: Installed) -> Iterator[None]:
    """Somebody else's Service and Job with the names of the job's own."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ftj-a"}, "spec": {"ports": [{"port": 80}]}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "a-0"},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    for manifest in (service, job):
        manifest["metadata"]["namespace"] = TEAM
        installed.api.create(manifest)
    yield
    for manifest in (service, job):
        installed.api.delete(manifest["kind"], TEAM, manifest["metadata"]["name"])


@contextmanager
def busy(installed: Installed) -> Iterator[None]:
    """Somebody else writes to the job all the time, so that the operator's own writes meet a later version."""
    done = threading.Event()

    def write() -> None:
        for number in range(100_000):
            if done.wait(0.03):
                return
            installed.api.patch("FineTuneJob", TEAM, "a", {"metadata": {"annotations": {"n": str(number)}}})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_nothing_too_much_and_nothing_too_little(installed: Callable[..., Installed]):
    """The whole life of a job: hindered, waiting for a volume, failed again and again, succeeded, cleaned up.

    The operator is one of several replicas.
    """
    here = installed(replicas=2)
    kubelet = Kubelet(here.api, TEAM)
    for manifest in inputs(TEAM):
        here.api.create(manifest)
    with in_the_way(here):
        here.api.create(a_job(runPolicy={"ttlSecondsAfterFinished": 0, "maxRestarts": 3}))
        eventually(lambda: {("get", "services"), ("get", "jobs")} <= here.used(), 20)
    (pod,) = kubelet.wait_for_pods(1, seconds=20)
    kubelet.waiting(pod, "ContainerCreating")
    eventually(lambda: ("list", "events") in here.used(), 20)
    with busy(here):
        for attempt in range(3):
            (pod,) = kubelet.wait_for_pods(1, f"a-{attempt}", seconds=20)
            kubelet.fail(kubelet.run(pod), 75)
        (pod,) = kubelet.wait_for_pods(1, "a-3", seconds=20)
        kubelet.run(pod)
        eventually(lambda: here.phase("a") == "Running", 20)
    kubelet.succeed(*kubelet.wait_for_pods(1, "a-3"))
    eventually(lambda: here.api.find("FineTuneJob", TEAM, "a") is None, 20)
    assert here.granted == NEEDED.keys()
    assert here.used() == here.granted - ASKED_OF_OTHERS
    assert [request for request in here.requests() if request[3] == 403] == []


def test_without_what_the_api_server_asks_of_owners_no_attempt_is_made(installed: Callable[..., Installed]):
    """What no request shows, shown by its removal."""
    here = installed(withheld=ASKED_OF_OTHERS)
    for manifest in inputs(TEAM):
        here.api.create(manifest)
    here.api.create(a_job())
    refused = eventually(lambda: [request for request in here.requests() if request[0] == "create" and request[3] == 403], 20)
    assert {resource for _, resource, _, _ in refused} <= {"services", "configmaps", "jobs"}
    assert here.api.list("Job", TEAM) == []


def test_an_operator_of_some_namespaces_sees_no_others(installed: Callable[..., Installed]):
    """All that is outside of them is nodes: it asks for these once, and does without."""
    here = installed(watchNamespaces=[TEAM])
    for namespace in (OTHER, TEAM):
        for manifest in inputs(namespace):
            here.api.create(manifest)
        here.api.create(a_job(namespace))
    Kubelet(here.api, TEAM).wait_for_pods(1, seconds=20)
    assert here.api.list("ClusterRoleBinding") and not here.bound_in_the_cluster()
    assert [request for request in here.requests() if request[2] != TEAM or request[3] == 403] == [("list", "nodes", "", 403)]
    assert here.api.list("Job", OTHER) == []
