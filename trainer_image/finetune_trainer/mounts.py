"""Where the schemes of a job's URIs are found on this machine: pvc:// and configmap:// are mounted folders, file:// is a path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from finetune_api.contract import MOUNT_ROOT
from finetune_trainer.errors import UserError


def local_path(uri: str, mounts: Mapping[str, str], base: Path) -> Path:
    """The path behind a pvc://, configmap:// or file:// URI. Relative file:// paths are taken from `base`.

    Args:
        mounts: "CLAIM" or "configmap/NAME" -> folder; an absent key is looked for under MOUNT_ROOT (a pod).

    Raises:
        UserError: MountMissing, when the folder of the claim or ConfigMap is not there.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        return base / rest
    name, _, inside = rest.partition("/")
    key = name if scheme == "pvc" else f"configmap/{name}"
    root = Path(mounts.get(key, f"{MOUNT_ROOT}/{'pvc' if scheme == 'pvc' else 'configmap'}/{name}"))
    if not root.is_dir():
        raise UserError("MountMissing", f"{uri}: no folder {root}.", f"Locally, say where it is: --mount {key}=DIR.")
    return root / inside
