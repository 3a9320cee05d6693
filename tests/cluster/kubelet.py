"""Plays scheduler and kubelet where there are no nodes: pods are started, end and go away when a test says so, or by themselves."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cluster.api import Api, Manifest
from cluster.eventually import eventually

INDEX = "batch.kubernetes.io/job-completion-index"
JOB = "batch.kubernetes.io/job-name"
#: Addresses of this machine that nobody else uses, so that a test can serve /progress on a pod's own address.
_IPS = (
    f"127.{block}.{high}.{low}"
    for block in itertools.count(random.randint(1, 200))
    for high in range(1, 255)
    for low in range(1, 255)
)


class Kubelet:
    """The kubelet for all pods of a namespace. What it does to one pod is one call; `automatic_kubelet.py` does it to all.

    Every method that changes a pod takes a pod as it was read and returns it as it is now. They raise ApiError 404 when it is gone.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    # --- reading ---------------------------------------------------------------------------------------------------------------

    def pods(self, job: str | None = None) -> list[Manifest]:
        """The pods, of one Job or of all, by Job and completion index."""
        pods = self._api.list("Pod", self.namespace, labels=f"{JOB}={job}" if job else "")
        return sorted(pods, key=lambda pod: (pod["metadata"].get("labels", {}).get(JOB, ""), index(pod)))

    def wait_for_pods(self, count: int = 2, job: str | None = None, *, seconds: float = 10.0) -> list[Manifest]:
        """Exactly so many pods that neither ended nor are about to. Raises AssertionError after `seconds`."""

        def there() -> list[Manifest]:
            pods = [pod for pod in self.pods(job) if alive(pod)]
            assert len(pods) == count, f"{len(pods)} pods, not {count}: {[pod['metadata']['name'] for pod in pods]}"
            return pods

        return eventually(there, seconds)

    def wait_for_stopping(self, count: int = 1, job: str | None = None, *, seconds: float = 10.0) -> list[Manifest]:
        """At least so many pods that were told to stop. Raises AssertionError after `seconds`."""

        def there() -> list[Manifest]:
            pods = [pod for pod in self.pods(job) if stopping(pod)]
            assert len(pods) >= count, f"{len(pods)} pods stop, not {count}"
            return pods

        return eventually(there, seconds)

    # --- starting --------------------------------------------------------------------------------------------------------------

    def schedule(self, pod: Manifest, node: str | None = None) -> Manifest:
        """Bind it to a node; by default its own one for each completion index."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node or f"node-{index(pod)}"}
        at = f"/api/v1/namespaces/{self.namespace}/pods/{_name(pod)}/binding"
        self._api.request("POST", at, {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": _name(pod)}, "target": target})
        return self._api.get("Pod", self.namespace, _name(pod))

    def run(self, pod: Manifest, *, ready: bool = True, ip: str | None = None) -> Manifest:
        """Running, with an address of its own on this machine's loopback; scheduled first if it was not."""
        if "nodeName" not in pod["spec"]:
            pod = self.schedule(pod)
        address = ip or pod["status"].get("podIP") or next(_IPS)
        status = {
            "phase": "Running",
            "startTime": _now(),
            "hostIP": "127.0.0.1",
            "hostIPs": [{"ip": "127.0.0.1"}],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": _conditions(ready),
            "containerStatuses": _containers(pod, {"running": {"startedAt": _now()}}, ready=ready, started=True),
        }
        return self._set(pod, status)

    def waiting(self, pod: Manifest, reason: str, message: str = "") -> Manifest:
        """Pending on its node: ImagePullBackOff, ErrImagePull, CreateContainerConfigError, ContainerCreating, ..."""
        if "nodeName" not in pod["spec"]:
            pod = self.schedule(pod)
        state = {"waiting": {"reason": reason, "message": message}}
        return self._set(pod, {"conditions": _conditions(False), "containerStatuses": _containers(pod, state)})

    def image_pull_backoff(self, pod: Manifest) -> Manifest:
        """Its first image cannot be pulled."""
        return self.waiting(pod, "ImagePullBackOff", f'Back-off pulling image "{pod["spec"]["containers"][0]["image"]}"')

    def unschedulable(self, pod: Manifest, message: str = "0/2 nodes are available: 2 Insufficient memory.") -> Manifest:
        """What the scheduler says of a pod that fits on no node."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        return self._set(pod, {"conditions": [condition]})

    def report(self, pod: Manifest, reason: str, message: str) -> None:
        """Warn about a pod in an Event, as a kubelet does of FailedMount."""
        reference = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": _name(pod),
            "uid": pod["metadata"]["uid"],
            "namespace": self.namespace,
        }
        self._api.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"generateName": f"{_name(pod)}.", "namespace": self.namespace},
                "involvedObject": reference,
                "reason": reason,
                "message": message,
                "type": "Warning",
                "source": {"component": "kubelet"},
                "firstTimestamp": _now(),
                "lastTimestamp": _now(),
                "count": 1,
            }
        )

    # --- ending ----------------------------------------------------------------------------------------------------------------

    def succeed(self, pod: Manifest, message: str = "") -> Manifest:
        """Its containers end with 0."""
        return self._end(pod, 0, message, "Completed")

    def fail(self, pod: Manifest, exit_code: int = 1, message: str = "", reason: str = "Error") -> Manifest:
        """Its first container ends with `exit_code` and the termination message; reason is Error or OOMKilled."""
        return self._end(pod, exit_code, message, reason)

    def evict(self, pod: Manifest, exit_code: int = 137) -> Manifest:
        """A node under pressure ends it: Failed, with the condition DisruptionTarget."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": "low on memory"}
        self._set(pod, {"conditions": [condition]})
        return self._end(pod, exit_code, "", "Error", {"reason": "Evicted", "message": "The node was low on resource: memory."})

    def lose(self, pod: Manifest) -> Manifest:
        """Its node is gone for good: the pod is told to stop by the taint manager, and no kubelet is there to hear it."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "node is gone"}
        ready = {"type": "Ready", "status": "False", "reason": "NodeLost"}
        self._set(pod, {"conditions": [condition, ready]})
        self._api.delete("Pod", self.namespace, _name(pod))
        return self._api.get("Pod", self.namespace, _name(pod))

    def finish(self, pod: Manifest, exit_code: int = 143, message: str = "") -> None:
        """It was told to stop and does: its containers end with `exit_code`, then it is removed."""
        if not ended(pod):
            self._end(pod, exit_code, message, "Completed" if exit_code == 0 else "Error")
        self._api.delete("Pod", self.namespace, _name(pod), grace=0, uid=pod["metadata"]["uid"])

    def _end(self, pod: Manifest, code: int, message: str, reason: str, more: Mapping[str, Any] | None = None) -> Manifest:
        if "nodeName" not in pod["spec"]:
            pod = self.schedule(pod)
        state = {"terminated": {"exitCode": code, "reason": reason, "message": message, "startedAt": _now(), "finishedAt": _now()}}
        others = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now()}}
        phase = "Succeeded" if code == 0 else "Failed"
        conditions = _conditions(False, "PodCompleted" if code == 0 else "PodFailed")
        status = {"phase": phase, "conditions": conditions, "containerStatuses": _containers(pod, state, others), **(more or {})}
        return self._set(pod, status)

    def _set(self, pod: Manifest, status: Manifest) -> Manifest:
        # With the uid the patch is refused for a namesake.
        changes = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        return self._api.patch("Pod", self.namespace, _name(pod), changes, "status", strategic=True)


def index(pod: Manifest) -> int:
    """Completion index of a pod of an Indexed Job; 0 for other pods."""
    return int(pod["metadata"].get("annotations", {}).get(INDEX, 0))


def stopping(pod: Manifest) -> bool:
    """Whether it was told to stop."""
    return "deletionTimestamp" in pod["metadata"]


def ended(pod: Manifest) -> bool:
    """Whether all its containers have ended."""
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def alive(pod: Manifest) -> bool:
    """Whether it is there to stay: neither ended nor told to stop."""
    return not stopping(pod) and not ended(pod)


@contextmanager
def node(api: Api, name: str, allocatable: Mapping[str, str], labels: Mapping[str, str] | None = None) -> Iterator[Manifest]:
    """A Node object, as far as others look at one. Args: allocatable: as in {"cpu": "8", "nvidia.com/gpu": "8"}."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "status": {
            "allocatable": {"pods": "110", **allocatable},
            "capacity": {"pods": "110", **allocatable},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}],
        },
    }
    try:
        yield api.create(manifest)
    finally:
        api.delete("Node", None, name)


def _name(pod: Manifest) -> str:
    name: str = pod["metadata"]["name"]
    return name


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _conditions(ready: bool, reason: str = "") -> list[Manifest]:
    told = {"reason": reason} if reason else {}
    status = "True" if ready else "False"
    return [
        {"type": "Initialized", "status": "True", "lastTransitionTime": _now()},
        {"type": "Ready", "status": status, "lastTransitionTime": _now(), **told},
        {"type": "ContainersReady", "status": status, "lastTransitionTime": _now(), **told},
    ]


def _containers(
    pod: Manifest, state: Manifest, others: Manifest | None = None, *, ready: bool = False, started: bool = False
) -> list[Manifest]:
    """Statuses of its containers: `state` for the first one, `others` for the rest (default: the same)."""
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "restartCount": 0,
            "ready": ready,
            "started": started,
            "state": state if number == 0 or others is None else others,
        }
        for number, container in enumerate(pod["spec"]["containers"])
    ]
