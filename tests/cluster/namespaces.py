"""Namespaces of a test: made fresh, and gone with all that is in them."""

from __future__ import annotations

import re
import secrets

from cluster.api import Api

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def create_namespace(api: Api, like: str) -> str:
    """A fresh namespace with restricted Pod Security, named like `like` (any text). Returns its name."""
    readable = re.sub(r"[^a-z0-9]+", "-", like.lower()).strip("-")[:40].strip("-")
    name = f"{readable}-{secrets.token_hex(3)}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    return name


def delete_namespace(api: Api, name: str) -> None:
    """Delete it with its contents, without waiting. No kubelet is there to end its pods, so they are forced out."""
    api.delete("Namespace", None, name)
    for pod in api.list("Pod", name):
        api.delete("Pod", name, pod["metadata"]["name"], grace=0)
