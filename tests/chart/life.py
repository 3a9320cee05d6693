"""The chart on a control plane, the operator with the rights of its service account, and the whole life of a job under it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cluster.api import ApiError, Manifest
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from cluster.namespaces import RESTRICTED, create_namespace, delete_namespace
from cluster.operator_process import operator_process

SYSTEM = "finetune-system"
#: Every request of a service account, reads too.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
"""

#: Verb and resource.
Right = tuple[str, str]
T = TypeVar("T")


class Missed(Exception):
    """The API server refused the operator something. `rights`: what."""

    def __init__(self, rights: Set[Right]) -> None:
        super().__init__(f"refused: {sorted(rights)}")
        self.rights = rights


class Installed:
    """The chart's objects, and the operator at work with the rights of its service account.

    Attributes:
        team: the namespace of the job.
        granted: rights that the roles give.
    """

    def __init__(self, plane: ControlPlane, objects: list[Manifest], team: str, log: Path) -> None:
        self.api, self.team, self._objects, self._audit = plane.api, team, objects, plane.audit
        self._since = plane.audit.here()
        if self.api.find("Namespace", None, SYSTEM) is None:
            self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM, "labels": RESTRICTED}})
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
        self._operator = operator_process(plane.kubeconfig_of_service_account(SYSTEM, "finetune-operator"), log, env)
        self._operator.start()

    def _served(self) -> bool:
        try:
            return self.api.list("FineTuneJob") == []
        except ApiError:  # The API server has not yet taken in its new kind.
            return False

    def remove(self) -> None:
        """The operator, all jobs, and all objects but the CustomResourceDefinition."""
        self._operator.kill()
        for job in self.api.list("FineTuneJob"):
            self.api.delete("FineTuneJob", job["metadata"]["namespace"], job["metadata"]["name"])
        for kind, namespace, name in [
            *((each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in self._objects),
            *(("Lease", SYSTEM, each["metadata"]["name"]) for each in self.api.list("Lease", SYSTEM)),
        ]:
            if kind != "CustomResourceDefinition":
                self.api.delete(kind, namespace, name)
        eventually(self._served)

    def requests(self) -> list[tuple[str, str, str, int]]:
        """Of the operator: verb, resource, namespace, status. Discovery, which everybody may do, is left out."""
        return [
            (each.verb, each.resource, each.namespace, each.status)
            for each in self._audit.writes(self._since)
            if each.user == f"system:serviceaccount:{SYSTEM}:finetune-operator"
        ]

    def used(self) -> set[Right]:
        """Verb and resource of every request."""
        return {(verb, resource) for verb, resource, _, _ in self.requests()}

    def refused(self) -> set[Right]:
        """Verb and resource of every request that the operator had no right to."""
        return {(verb, resource) for verb, resource, _, status in self.requests() if status == 403}

    def until(self, predicate: Callable[[], T]) -> T:
        """Wait until it is true.

        Raises:
            Missed: the operator was refused something meanwhile.
        """

        def there() -> T:
            if refused := self.refused():
                raise Missed(refused)
            return predicate()

        return eventually(there, 20)

    def bound_in_the_cluster(self) -> bool:
        """Whether any ClusterRoleBinding names its service account."""
        return any("finetune-operator" in str(each.get("subjects")) for each in self.api.list("ClusterRoleBinding"))


def without(objects: list[Manifest], withheld: Set[Right]) -> list[Manifest]:
    """The objects, with roles that lack these rights."""
    for role in (each for each in objects if "rules" in each):
        role["rules"] = [
            {**rule, "resources": [resource], "verbs": [verb]}
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            if (verb, resource) not in withheld
        ]
    return objects


@contextmanager
def namespaces(plane: ControlPlane, *names: str) -> Iterator[list[str]]:
    """Fresh ones, called like `names`."""
    made = [create_namespace(plane.api, name) for name in names]
    yield made
    for name in made:
        delete_namespace(plane.api, name)


def a_job(namespace: str, **spec: Any) -> Manifest:
    """A job that names one thing of each kind."""
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


def live(here: Installed) -> None:
    """The whole life of a job: hindered, waiting for a volume, failed again and again, succeeded, cleaned up.

    Raises:
        Missed: the operator was refused something on the way.
    """
    kubelet = Kubelet(here.api, here.team)

    def pod_of(attempt: int) -> Manifest:
        (pod,) = here.until(lambda: kubelet.wait_for_pods(1, f"a-{attempt}", seconds=0))
        return pod

    for manifest in inputs(here.team):
        here.api.create(manifest)
    with _in_the_way(here):
        here.api.create(a_job(here.team, runPolicy={"ttlSecondsAfterFinished": 0, "maxRestarts": 3}))
        here.until(lambda: {("get", "services"), ("get", "jobs")} <= here.used())
    kubelet.waiting(pod_of(0), "ContainerCreating")
    here.until(lambda: ("list", "events") in here.used())
    with _busy(here):
        for attempt in range(3):
            kubelet.fail(kubelet.run(pod_of(attempt)), 75)
        kubelet.run(pod_of(3))
        here.until(lambda: _phase(here) == "Running")
    kubelet.succeed(pod_of(3))
    here.until(lambda: here.api.find("FineTuneJob", here.team, "a") is None)


def _phase(here: Installed) -> str:
    """The job's phase, or nothing."""
    found = here.api.find("FineTuneJob", here.team, "a") or {}
    return str(found.get("status", {}).get("phase", ""))


@contextmanager
def _in_the_way(here: Installed) -> Iterator[None]:
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
        manifest["metadata"]["namespace"] = here.team
        here.api.create(manifest)
    yield
    for manifest in (service, job):
        here.api.delete(manifest["kind"], here.team, manifest["metadata"]["name"])


@contextmanager
def _busy(here: Installed) -> Iterator[None]:
    """Somebody else writes to the job all the time, so that the operator's own writes meet a later version."""
    done = threading.Event()

    def write() -> None:
        for number in range(100_000):
            if done.wait(0.03):
                return
            here.api.patch("FineTuneJob", here.team, "a", {"metadata": {"annotations": {"n": str(number)}}})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
