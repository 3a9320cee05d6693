"""What is wrong with a pod that is not its program's doing: why it does not start, or why Kubernetes ended it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

#: Reasons of the condition DisruptionTarget -> our word, and what happened.
_DISRUPTIONS: Mapping[str, tuple[str, str]] = {
    "PreemptionByScheduler": ("Preempted", "made room for a pod of higher priority"),
    "DeletionByTaintManager": ("NodeLost", "was removed because its node does not answer or was tainted"),
    "DeletionByPodGC": ("NodeLost", "was removed because its node is gone"),
    "EvictionByEvictionAPI": ("Evicted", "was evicted, as when a node is drained"),
    "TerminationByKubelet": ("Evicted", "was ended by its node, which is short of something or shuts down"),
}
_PULL_FAILURES = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
)
_CONFIG_FAILURES = ("CreateContainerConfigError",)
_CREATE_FAILURES = ("CreateContainerError", "RunContainerError", "CreatePodSandboxError")
#: How the kubelet begins to say the same thing in different ways.
_VOLATILE = re.compile(
    r"^Back-off pulling image \S+: \w+: |^MountVolume\.\S+ failed for volume |^Unable to attach or mount volumes: "
)
_MAX = 600


@dataclass(frozen=True)
class Trouble:
    """Why a pod does not start, or why Kubernetes ended it, in words for people.

    `reason`: PodUnschedulable, ImagePullFailed, VolumeNotMounted, ...; NodeLost, Preempted, Evicted, ...
    """

    reason: str
    message: str


def trouble(pod: Manifest, mount_message: str = "") -> Trouble | None:
    """The first trouble of a pod as the API server shows it; None if there is none.

    Args:
        mount_message: of the latest Event FailedMount or FailedAttachVolume about it.
    """
    return next(_troubles(pod, mount_message), None)


def _troubles(pod: Manifest, mount_message: str) -> Iterator[Trouble]:
    status = pod.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    disruption = conditions.get("DisruptionTarget", {})
    if disruption.get("status") == "True":
        reason, what = _DISRUPTIONS.get(disruption.get("reason", ""), ("Disrupted", "was taken away by Kubernetes"))
        yield Trouble(reason, f"It {what}{_quoted(disruption)}.")
    if status.get("phase") == "Failed" and status.get("reason"):  # Its node refused it, or it used more than it may.
        yield Trouble(status["reason"], f"Its node ended it{_quoted(status)}.")
    if status.get("phase") != "Pending":
        return
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        advice = "Compare resources, nodeSelector and tolerations with what the nodes have, or wait for room."
        yield Trouble("PodUnschedulable", f"It cannot be scheduled{_quoted(scheduled)}. {advice}")
    for container in status.get("containerStatuses", ()):
        yield from _waiting(container)
    if mount_message:
        advice = "Check that the claims, Secrets and ConfigMaps it mounts exist and can be mounted on its node."
        yield Trouble("VolumeNotMounted", f"A volume does not mount{_quoted({'message': mount_message})}. {advice}")


def _waiting(container: Manifest) -> Iterator[Trouble]:
    """Why a container does not start, by the kubelet's word for it."""
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in _PULL_FAILURES:
        # The kubelet alternates between an error and "Back-off"; the text stays the same, so the status is not written each time.
        detail = "" if reason == "ImagePullBackOff" and not _VOLATILE.match(waiting.get("message", "")) else _quoted(waiting)
        advice = "Check its name and tag, and podTemplate.spec.imagePullSecrets for a private registry."
        yield Trouble("ImagePullFailed", f"The image {container.get('image', '')} cannot be pulled{detail}. {advice}")
    elif reason in _CONFIG_FAILURES:
        advice = "It starts as soon as what is named there exists."
        yield Trouble("ContainerConfigInvalid", f"Its container cannot be set up{_quoted(waiting)}. {advice}")
    elif reason in _CREATE_FAILURES:
        advice = "Check trainer.command, trainer.image and the volumes."
        yield Trouble("ContainerNotCreated", f"Its container cannot be started{_quoted(waiting)}. {advice}")


def _quoted(told: Mapping[str, str]) -> str:
    """What Kubernetes has to say about it, as the end of a sentence."""
    text = " ".join(_VOLATILE.sub("", told.get("message") or "").split()).rstrip(".")
    return f": {text if len(text) <= _MAX else f'{text[:_MAX]} ...'}" if text else ""
