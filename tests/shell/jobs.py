"""FineTuneJobs for these tests, and what can be asked of one that was submitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.api import Api, Manifest
from cluster.eventually import eventually
from finetune_api.contract import ExitCode, Progress, TerminationMessage

CLAIM = "runs"


def claim(namespace: str, name: str = CLAIM, mode: str = "ReadWriteMany") -> Manifest:
    """A claim; nothing on this control plane binds it, and nothing needs that."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}},
    }


def finetune_job(namespace: str, name: str = "a", *, nodes: int = 2, run_policy: Manifest | None = None, **spec: Any) -> Manifest:
    """A valid job, with groups of its spec replaced by `spec`."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"source": "hf://Qwen/Qwen3-8B"},
            "dataset": {"sources": [{"uri": "hf://tatsu-lab/alpaca", "format": "alpaca"}]},
            "distributed": {"nodes": nodes},
            "output": {"volume": {"persistentVolumeClaim": {"claimName": CLAIM}}},
            "runPolicy": run_policy or {},
            **spec,
        },
    }


def config_map(namespace: str, name: str, **data: str) -> Manifest:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def secret(namespace: str, name: str, **data: str) -> Manifest:
    """A Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data}


def message(code: ExitCode, reason: str, text: str = "It is a test.", **more: Any) -> str:
    """What our launcher leaves when it ends."""
    return TerminationMessage(exit_code=code, reason=reason, message=text, **more).model_dump_json(by_alias=True, exclude_none=True)


def training(step: int, **more: Any) -> Progress:
    """Progress of a run of 100 steps."""
    return Progress(phase="training", step=step, total_steps=100, loss=1.5, eta_seconds=60.0, **more)


@dataclass(frozen=True)
class Submitted:
    """A job on the API server."""

    api: Api
    namespace: str
    name: str = "a"

    def read(self) -> Manifest:
        """The object."""
        return self.api.get("FineTuneJob", self.namespace, self.name)

    def status(self) -> Manifest:
        """Its status; empty until the operator has seen it."""
        return dict(self.read().get("status", {}))

    def message(self) -> str:
        """Its phase in a sentence; empty until the operator has seen it."""
        return str(self.status().get("message", ""))

    def condition(self, kind: str) -> Manifest:
        """A condition, or an empty one."""
        return next((each for each in self.status().get("conditions", []) if each["type"] == kind), {})

    def wait(self, phase: str, seconds: float = 10.0, **fields: Any) -> Manifest:
        """Its status as soon as it has that phase, and those other fields."""

        def there() -> Manifest:
            status = self.status()
            wanted = {"phase": phase, **fields}
            assert {name: status.get(name) for name in wanted} == wanted, status
            return status

        return eventually(there, seconds)

    def change(self, **run_policy: Any) -> None:
        """Change fields of runPolicy."""
        self.api.patch("FineTuneJob", self.namespace, self.name, {"spec": {"runPolicy": run_policy}})

    def delete(self) -> None:
        """Delete it, without waiting."""
        self.api.delete("FineTuneJob", self.namespace, self.name)

    def attempts(self) -> list[int]:
        """Numbers of the Jobs there are."""
        jobs = self.api.list("Job", self.namespace, labels=f"finetune.dev/job={self.name}")
        return sorted(int(job["metadata"]["labels"]["finetune.dev/attempt"]) for job in jobs)

    def wait_for_events(self, *reasons: str) -> None:
        """Exactly these Events were posted about it, in this order."""

        def there() -> bool:
            assert self._events() == list(reasons), self.status()
            return True

        eventually(there)

    def _events(self) -> list[str]:
        about = [event for event in self.api.list("Event", self.namespace) if event["involvedObject"]["kind"] == "FineTuneJob"]
        about = [event for event in about if event["involvedObject"]["name"] == self.name]
        return [event["reason"] for event in sorted(about, key=lambda event: int(event["metadata"]["resourceVersion"]))]


#: What the fixture `submit` gives: takes the arguments of `finetune_job` but the namespace.
Submit = Callable[..., Submitted]
