"""The two sides: FineTuneJobs under the operator, and bare Indexed Jobs with the same pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Manifest = dict[str, Any]

NODES = 2
CLAIM = "runs"


def claim(namespace: str) -> Manifest:
    """The volume that the results of all jobs of a namespace go to."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def finetune_job(namespace: str, name: str) -> Manifest:
    """A job of two nodes as a user would write it."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"source": "hf://Qwen/Qwen3-8B"},
            "dataset": {"sources": [{"uri": "hf://tatsu-lab/alpaca", "format": "alpaca"}], "maxLength": 2048, "packing": True},
            "training": {"method": "lora", "numTrainEpochs": 3, "learningRate": 2e-4, "saveSteps": 200},
            "distributed": {"nodes": NODES, "processesPerNode": 8},
            "output": {"volume": {"persistentVolumeClaim": {"claimName": CLAIM}}, "path": name},
            "runPolicy": {"maxRestarts": 3},
            "resources": {"limits": {"nvidia.com/gpu": 8, "memory": "900Gi"}},
        },
    }


@dataclass(frozen=True)
class Side:
    """How one side submits a job, and how one sees that it has succeeded.

    Attributes:
        template: bare Jobs only: the spec of a Job, taken from one that the operator made.
    """

    name: str
    kind: Literal["Job", "FineTuneJob"]
    succeeded: str
    template: Mapping[str, Any]

    def job(self, namespace: str, name: str) -> Manifest:
        """The object to submit."""
        if self.kind == "FineTuneJob":
            return finetune_job(namespace, name)
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": namespace},
            "spec": dict(self.template),
        }


def ours() -> Side:
    """FineTuneJobs."""
    return Side("operator", "FineTuneJob", "Succeeded", {})


def bare(made: Manifest) -> Side:
    """Indexed Jobs like `made`, one that the operator made and the API server completed. The operator does not look at them."""
    spec = {key: value for key, value in made["spec"].items() if key not in ("selector", "ttlSecondsAfterFinished")}
    metadata = spec["template"]["metadata"]
    labels = {_other(name): value for name, value in metadata["labels"].items() if not name.startswith(_CONTROLLERS_LABELS)}
    spec["template"] = {"metadata": {**metadata, "labels": labels}, "spec": spec["template"]["spec"]}
    return Side("bare Jobs", "Job", "Complete", spec)


#: What the Job controller adds by itself.
_CONTROLLERS_LABELS = ("batch.kubernetes.io/", "controller-uid", "job-name")


def _other(label: str) -> str:
    return f"bench.example/{label.rpartition('/')[2]}"
