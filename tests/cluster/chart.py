"""The operator on the cluster, from its chart and images of this checkout."""

from __future__ import annotations

from cluster import images
from cluster.lifecycle import Cluster

NAMESPACE = "finetune-system"


def image_values(cluster: Cluster) -> dict[str, str]:
    """The chart's values for images of this checkout, which are brought to the cluster first."""
    return {"image": images.operator_image(cluster), "trainer.image": images.trainer_image(cluster)}


def upgrade_command(cluster: Cluster, progress_seconds: int) -> list[str]:
    """The helm command, for the folder of the checkout; its images are brought to the cluster first.

    Args:
        progress_seconds: least time between two status writes that only bring new progress.
    """
    values = {**image_values(cluster), "progressSeconds": str(progress_seconds)}
    return [
        "helm", "upgrade", "--install", "finetune-operator", "helm/finetune-operator",
        "--namespace", NAMESPACE, "--create-namespace",
        *(part for name, value in values.items() for part in ("--set", f"{name}={value}")), "--wait", "--timeout", "3m",
    ]  # fmt: skip
