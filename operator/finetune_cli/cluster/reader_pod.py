"""The manifest of a short-lived pod that holds a claim of a job, read-only, so that files of it can be fetched. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from finetune_api.names import LABEL_ATTEMPT
from finetune_api.spec import API_VERSION, GROUP, KIND
from finetune_cli.cluster.errors import ClusterError

Manifest = dict[str, Any]

#: On the pod: the job it reads for. Not the operator's label, by which it would take the pod for one of the job's own.
LABEL_READER = f"{GROUP}/reader-of"
VOLUME = "/volume"
#: The pod ends by itself after so long, should this command be killed; a transfer that lasts longer makes another one.
LIFETIME_SECONDS = 3600
#: What is taken over from the job's own pods, so that it starts where they did and reads as they wrote.
_TAKEN_OVER = ("imagePullSecrets", "nodeSelector", "runtimeClassName", "securityContext", "tolerations")


class Place(NamedTuple):
    """A folder of a claim."""

    claim: str
    path: str

    def __str__(self) -> str:
        return f"pvc://{self.claim}/{self.path}"


def output_place(job: Manifest) -> Place:
    """Where the results of a job are. Raises ClusterError: nowhere."""
    name, output = job["metadata"]["name"], job.get("spec", {}).get("output", {})
    claim = output.get("volume", {}).get("persistentVolumeClaim", {}).get("claimName")
    if not claim:
        raise ClusterError(f"FineTuneJob {name} has no output volume, so there is nothing to fetch.")
    return Place(claim, output.get("path") or name)


def newest_template(job: Manifest, jobs: list[Manifest]) -> Manifest:
    """The pod template of the newest attempt. Raises ClusterError: there is no attempt."""
    if not jobs:
        status = job.get("status", {})
        why = status.get("message") or "No operator has looked at it yet."
        raise ClusterError(f"FineTuneJob {job['metadata']['name']} has not started, so there is nothing to fetch. {why}")
    newest = max(jobs, key=lambda one: int(one["metadata"]["labels"].get(LABEL_ATTEMPT, -1)))
    template: Manifest = newest["spec"]["template"]["spec"]
    return template


def reader_pod(job: Manifest, template: Manifest, claim: str, suffix: str) -> Manifest:
    """The manifest.

    Args:
        template: spec of the job's own pods: the image is there already, and has Python.
        suffix: a few random characters.
    """
    metadata, trainer = job["metadata"], template["containers"][0]
    spec = {name: template[name] for name in _TAKEN_OVER if name in template}
    node_affinity = template.get("affinity", {}).get("nodeAffinity")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-read-{suffix}",
            "labels": {LABEL_READER: metadata["name"], "app.kubernetes.io/managed-by": "kubectl-finetune"},
            # Should this command be killed, the pod goes with its job.
            "ownerReferences": [{"apiVersion": API_VERSION, "kind": KIND, "name": metadata["name"], "uid": metadata["uid"]}],
        },
        "spec": {
            **spec,
            **({"affinity": {"nodeAffinity": node_affinity}} if node_affinity else {}),
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME_SECONDS,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [
                {
                    "name": "reader",
                    "image": trainer["image"],
                    "imagePullPolicy": trainer.get("imagePullPolicy", "IfNotPresent"),
                    "command": ["python3", "-c", f"import time; time.sleep({LIFETIME_SECONDS})"],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                    # The whole claim: a subPath that is not there would be created.
                    "volumeMounts": [{"name": "volume", "mountPath": VOLUME, "readOnly": True}],
                }
            ],
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
