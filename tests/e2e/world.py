"""One namespace of the cluster, with a volume that both nodes write, and what a test does in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client

GROUP, VERSION, PLURAL = "finetune.dev", "v1alpha1", "finetunejobs"
#: On two busy cores a pod needs up to half a minute to import torch; nothing here waits longer than this.
PATIENCE = 240.0
Manifest = dict[str, Any]


class World:
    """A namespace under restricted Pod Security with a claim `shared`, whose folder on this machine is `shared`."""

    def __init__(self, api: client.ApiClient, namespace: str, shared: Path) -> None:
        self.namespace, self.shared = namespace, shared
        self._core, self._batch, self._jobs = client.CoreV1Api(api), client.BatchV1Api(api), client.CustomObjectsApi(api)

    # --- what a user does
    def apply(self, manifest: Manifest) -> None:
        """Create a FineTuneJob."""
        self._jobs.create_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, manifest)

    def job(self, name: str) -> Manifest:
        """The FineTuneJob as it is."""
        found: Manifest = self._jobs.get_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)
        return found

    def status(self, name: str) -> Manifest:
        """Its status, empty before the operator has seen it."""
        found: Manifest = self.job(name).get("status", {})
        return found

    def patch(self, name: str, **run_policy: Any) -> None:
        """Change spec.runPolicy."""
        body = {"spec": {"runPolicy": run_policy}}
        self._jobs.patch_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name, body)

    def delete(self, name: str) -> None:
        """Delete the FineTuneJob."""
        self._jobs.delete_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)

    def exists(self, name: str) -> bool:
        """Whether there is such a FineTuneJob."""
        found = self._jobs.list_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL)["items"]
        return name in [job["metadata"]["name"] for job in found]

    # --- what a user sees
    def pods(self, name: str) -> list[Any]:
        """Pods of all attempts of the job that are left."""
        found: list[Any] = self._core.list_namespaced_pod(self.namespace, label_selector=f"{GROUP}/job={name}").items
        return found

    def pod_names(self) -> list[str]:
        """Names of all pods of the namespace."""
        return [pod.metadata.name for pod in self._core.list_namespaced_pod(self.namespace).items]

    def children(self, name: str) -> list[str]:
        """Jobs, Services and ConfigMaps of the job, as kind/name."""
        selector = f"{GROUP}/job={name}"
        kinds = {
            "job": self._batch.list_namespaced_job,
            "service": self._core.list_namespaced_service,
            "configmap": self._core.list_namespaced_config_map,
        }
        return [
            f"{kind}/{child.metadata.name}"
            for kind, find in kinds.items()
            for child in find(self.namespace, label_selector=selector).items
        ]

    def attempts(self, name: str) -> list[str]:
        """Names of the Indexed Jobs."""
        return sorted(child.removeprefix("job/") for child in self.children(name) if child.startswith("job/"))

    def events(self, name: str) -> list[str]:
        """Reasons of the Events about the FineTuneJob, oldest first."""
        found = self._core.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={name}").items
        return [event.reason for event in sorted(found, key=lambda event: event.metadata.creation_timestamp)]

    def condition(self, name: str, kind: str) -> Manifest:
        """One condition of the status; empty when it is not there."""
        return next((found for found in self.status(name).get("conditions", []) if found["type"] == kind), {})

    # --- waiting
    def until(self, what: str, holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until `holds()` is true; returns what it returned."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {seconds:.0f} s.\n{self._report()}")
            time.sleep(0.25)
        return found

    def until_phase(self, name: str, *phases: str, seconds: float = PATIENCE) -> Manifest:
        """Wait for one of the phases; returns the status. A phase that nothing follows ends the wait at once."""

        def reached() -> Manifest | None:
            status = self._still_possible(name, *phases)
            return status if status.get("phase") in phases else None

        found: Manifest = self.until(f"{name} {' or '.join(phases)}", reached, seconds)
        return found

    def until_step(self, name: str, step: int) -> None:
        """Wait until the job's log on the volume has reached a step."""
        log = self.output(name) / "trainer_log.jsonl"

        def reached() -> bool:
            self._still_possible(name)
            return log.exists() and log.read_bytes().count(b"\n") >= step

        self.until(f"step {step} of {name}", reached)

    # --- faults
    def execute(self, pod: str, *command: str) -> str:
        """Run a command in a pod's container."""
        from kubernetes.stream import stream

        connect = self._core.connect_get_namespaced_pod_exec
        return str(stream(connect, pod, self.namespace, command=list(command), stdout=True, stderr=True, stdin=False, tty=False))

    def kill(self, pod: Any) -> None:
        """Delete a pod without a grace period: its processes get SIGKILL."""
        self._core.delete_namespaced_pod(pod.metadata.name, self.namespace, grace_period_seconds=0)

    # --- results
    def output(self, name: str) -> Path:
        """The job's output folder."""
        return self.shared / name

    def _still_possible(self, name: str, *wanted: str) -> Manifest:
        """The status, unless the job has reached another end than the wanted ones."""
        status = self.status(name)
        phase = status.get("phase")
        if phase in ("Succeeded", "Failed") and phase not in wanted:
            raise AssertionError(f"{name} is {phase}: {status.get('message')}\n{self._report()}")
        return status

    def _report(self) -> str:
        lines = [f"{job['metadata']['name']}: {json.dumps(job.get('status'))}" for job in self._all()]
        for pod in self._core.list_namespaced_pod(self.namespace).items:
            lines.append(f"{pod.metadata.name}: {pod.status.phase}")
            if pod.status.phase != "Pending":
                lines.append(self._core.read_namespaced_pod_log(pod.metadata.name, self.namespace, tail_lines=25))
        return "\n".join(lines)

    def _all(self) -> list[Manifest]:
        found: list[Manifest] = self._jobs.list_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL)["items"]
        return found


@contextmanager
def make_world(api: client.ApiClient, namespace: str, shared: Path) -> Iterator[World]:
    """Namespace, volume and claim; all of it goes away afterwards."""
    core = client.CoreV1Api(api)
    folder = shared / namespace
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace({"metadata": {"name": namespace, "labels": labels}})
    size = {"storage": "1Gi"}
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {
        **common,
        "capacity": size,
        "hostPath": {"path": f"/var/lib/finetune/{namespace}", "type": "Directory"},
        "claimRef": {"namespace": namespace, "name": "shared"},
    }
    core.create_persistent_volume({"metadata": {"name": namespace}, "spec": volume})
    claim = {"metadata": {"name": "shared"}, "spec": {**common, "resources": {"requests": size}}}
    core.create_namespaced_persistent_volume_claim(namespace, claim)
    try:
        yield World(api, namespace, folder)
    finally:
        core.delete_namespace(namespace)
        core.delete_persistent_volume(namespace)
