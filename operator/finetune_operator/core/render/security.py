"""What pods may not do: they run under the restricted Pod Security Standard, and training needs nothing beyond it."""

from __future__ import annotations

from finetune_operator.core.model import Manifest

#: Of the trainer's image; a job may name another in podTemplate.spec.securityContext.
USER = 1000


def pod_security() -> Manifest:
    """The pod's securityContext, before what the job says about user and groups."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # A volume with a million files would otherwise be walked through at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(*, read_only: bool) -> Manifest:
    """The container's securityContext.

    Args:
        read_only: the image's file system cannot be written; trainers that we do not know may need it.
    """
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
    }
