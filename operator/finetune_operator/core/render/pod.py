"""The pods of an attempt: ours, with the job's podTemplate merged in."""

from __future__ import annotations

from typing import Any

from finetune_api.contract import HTTP_PORT
from finetune_api.names import LABEL_ATTEMPT, LABEL_JOB_UID, labels, service_name
from finetune_api.part import Part
from finetune_api.pod_template import CONTAINER, Resources
from finetune_operator.core.model import Config, Job, Manifest
from finetune_operator.core.render.environment import environment
from finetune_operator.core.render.merge import merge
from finetune_operator.core.render.security import container_security, pod_security
from finetune_operator.core.render.volumes import volume_mounts, volumes

#: How long a pod stays bound to a node that does not answer. Kubernetes would add 300 s.
NODE_LOST_SECONDS = 60
#: After gracefulStopSeconds the launcher still has to say what happened, before the kubelet kills it.
FAREWELL_SECONDS = 30
_TRAINER = ["python", "-m", "finetune_trainer"]


def render_pod(job: Job, attempt: int, config: Config) -> Manifest:
    """A pod template; the Job controller gives each pod its node rank and host name."""
    template = job.spec.pod_template
    own = labels(job.key.name, job.uid, attempt)
    given = _plain(template.spec)
    (container,) = given.pop("containers", [{}])
    spec = merge(_spec(job, attempt), given)
    spec["containers"] = [merge(_container(job, attempt, config), container)]
    metadata: Manifest = {"labels": template.metadata.labels | own}
    if template.metadata.annotations:
        metadata["annotations"] = dict(template.metadata.annotations)
    return {"metadata": metadata, "spec": spec}


def _spec(job: Job, attempt: int) -> Manifest:
    own = labels(job.key.name, job.uid, attempt)
    return {
        "subdomain": service_name(job.key.name),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": job.spec.run_policy.graceful_stop_seconds + FAREWELL_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "tolerations": [_toleration("unreachable"), _toleration("not-ready")],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                # Two nodes of a job on one large machine are better than a job that never starts; affinity can forbid it.
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {name: own[name] for name in (LABEL_JOB_UID, LABEL_ATTEMPT)}},
            }
        ],
        "volumes": volumes(job.key.name, job.spec),
    }


def _toleration(condition: str) -> Manifest:
    key = f"node.kubernetes.io/{condition}"
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": NODE_LOST_SECONDS}


def _container(job: Job, attempt: int, config: Config) -> Manifest:
    trainer = job.spec.trainer
    foreign = bool(trainer.command)
    return {
        "name": CONTAINER,
        "image": trainer.image or config.trainer_image,
        "imagePullPolicy": config.image_pull_policy,
        "command": trainer.command or _TRAINER,
        "env": environment(job, attempt),
        "ports": [{"name": "progress", "containerPort": HTTP_PORT}],
        "resources": _resources(job.spec.resources),
        "securityContext": container_security(read_only=not foreign),
        # Our launcher always says what happened; of another trainer the end of its log is all there is.
        "terminationMessagePolicy": "FallbackToLogsOnError" if foreign else "File",
        "volumeMounts": volume_mounts(job.key.name, job.spec),
    }


def _resources(resources: Resources) -> Manifest:
    amounts = {"limits": resources.limits, "requests": resources.requests}
    return {kind: dict(given) for kind, given in amounts.items() if given}


def _plain(part: Part) -> dict[str, Any]:
    """Only what was given. Defaults of the podTemplate are those of Kubernetes."""
    return part.model_dump(mode="json", by_alias=True, exclude_defaults=True)
