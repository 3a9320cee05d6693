"""What a job may say about its pods: a list of what is allowed, so that a job cannot reach more than its own namespace.

Host paths, host network, service accounts, privileges and capabilities are not fields here, so the API server refuses them.
Names and meaning are those of Kubernetes' own pod template.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from finetune_api.part import (
    Folder,
    MountPath,
    Name,
    ObjectName,
    Part,
    PersistentVolumeClaim,
    QualifiedName,
    Quantity,
    Text,
)

#: The container that trains.
CONTAINER: Literal["trainer"] = "trainer"

LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$"
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE, max_length=63)]


class Resources(Part):
    """What each node's container gets on a cluster; local runs take what the machine has."""

    limits: Annotated[dict[QualifiedName, Quantity], Field(max_length=16)] = Field(
        {}, description="Upper bounds, by resource.", examples=[{"nvidia.com/gpu": 8, "memory": "900Gi"}]
    )
    requests: Annotated[dict[QualifiedName, Quantity], Field(max_length=16)] = Field(
        {}, description="What the scheduler sets aside. Default: the limits."
    )
    shared_memory: Quantity = Field(
        "8Gi", description="Size limit of /dev/shm, which is memory and counts towards limits.memory. NCCL and data loaders use it."
    )


class PodMetadata(Part):
    """Labels and annotations of the pods (and of the Kubernetes Job that makes them, so that queues such as Kueue see them)."""

    labels: Annotated[dict[QualifiedName, LabelValue], Field(max_length=32)] = Field(
        {}, description="Labels; those of finetune.dev, batch.kubernetes.io and app.kubernetes.io belong to the operator."
    )
    annotations: Annotated[dict[QualifiedName, Text], Field(max_length=32)] = Field({}, description="Annotations; likewise.")


class Toleration(Part):
    """A taint that the pods put up with."""

    key: QualifiedName | None = Field(None, description="Key of the taint. Default: every taint, with operator Exists.")
    operator: Literal["Equal", "Exists"] = Field("Equal", description="Equal: key and value are the taint's. Exists: the key is.")
    value: LabelValue | None = Field(None, description="Value of the taint.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint. Default: every one."
    )
    toleration_seconds: int | None = Field(
        None, ge=0, le=31_536_000, description="How long, with effect NoExecute. Default: for ever."
    )


class ConfigMapVolume(Part):
    """A ConfigMap as a folder."""

    name: ObjectName = Field(description="Name of the ConfigMap.")


class SecretVolume(Part):
    """A Secret as a folder."""

    secret_name: ObjectName = Field(description="Name of the Secret.")


class EmptyDir(Part):
    """A scratch folder that goes with the pod."""

    medium: Literal["Memory"] | None = Field(
        None, description="Memory: a file system in memory, which counts towards limits.memory. Default: the node's disk."
    )
    size_limit: Quantity | None = Field(None, description="Upper bound.")


class Volume(Part):
    """A volume: exactly one of the kinds."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)] = Field(
        description="Name that volumeMounts refer to."
    )
    persistent_volume_claim: PersistentVolumeClaim | None = Field(None, description="A claim.")
    config_map: ConfigMapVolume | None = Field(None, description="A ConfigMap.")
    secret: SecretVolume | None = Field(None, description="A Secret.")
    empty_dir: EmptyDir | None = Field(None, description="A scratch folder.")


class VolumeMount(Part):
    """Where a volume appears."""

    name: Name = Field(description="Name of the volume.")
    mount_path: MountPath = Field(description="Absolute path in the container.")
    sub_path: Folder | None = Field(None, description="Folder or file in the volume.")
    read_only: bool = Field(False, description="Mount it read-only.")


class Container(Part):
    """What is added to the container that trains."""

    name: Literal["trainer"] = Field(CONTAINER, description="trainer: the only container.")
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=32)] = Field([], description="Volumes to mount.")


class LocalObject(Part):
    """Another object in the namespace."""

    name: ObjectName = Field(description="Its name.")


class PodSecurity(Part):
    """User and groups of the processes. Everything else is fixed: no root, no capabilities, no privilege escalation."""

    run_as_user: int | None = Field(None, ge=1, le=2**31 - 1, description="User id. Default: 1000.")
    run_as_group: int | None = Field(None, ge=1, le=2**31 - 1, description="Group id. Default: 1000.")
    fs_group: int | None = Field(None, ge=1, le=2**31 - 1, description="Group that volumes belong to. Default: 1000.")
    supplemental_groups: Annotated[list[Annotated[int, Field(ge=1, le=2**31 - 1)]], Field(max_length=16)] = Field(
        [], description="Further groups."
    )


class PodSpec(Part):
    """Parts of a pod's spec; lists are merged by name with the operator's own."""

    node_selector: Annotated[dict[QualifiedName, LabelValue], Field(max_length=32)] = Field({}, description="Labels of nodes.")
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = Field([], description="Taints that the pods put up with.")
    affinity: dict[str, Any] = Field({}, description="Affinity, as in a pod's spec; checked when the pods are made.")
    priority_class_name: ObjectName | None = Field(None, description="Priority class.")
    scheduler_name: ObjectName | None = Field(None, description="Scheduler.")
    runtime_class_name: ObjectName | None = Field(None, description="Runtime class, for example nvidia.")
    image_pull_secrets: Annotated[list[LocalObject], Field(max_length=8)] = Field([], description="Secrets for the registry.")
    security_context: PodSecurity = Field(PodSecurity(), description="User and groups.")
    volumes: Annotated[list[Volume], Field(max_length=32)] = Field([], description="Further volumes.")
    containers: Annotated[list[Container], Field(max_length=1)] = Field([], description="Additions to the container trainer.")


class PodTemplate(Part):
    """A partial pod template, merged by key into the operator's own."""

    metadata: PodMetadata = Field(PodMetadata(), description="Labels and annotations.")
    spec: PodSpec = Field(PodSpec(), description="Scheduling, volumes, user.")
