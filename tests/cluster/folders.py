"""Where things live that are made once and used again; never in the source tree."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def cache() -> Path:
    """The folder of all that is cached: $FINETUNE_CACHE, else finetune-operator in the user's cache folder."""
    chosen = os.environ.get("FINETUNE_CACHE")
    folder = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-operator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def state() -> Path:
    """The folder of what belongs to the cluster that is up: gone when it is down."""
    return cache() / "state"


def delete_cached() -> None:
    """Delete all that this package has ever cached. Other things in the folder stay."""
    for pattern in ("binaries-*", "contexts", "debian", "engine", "image-store-*"):
        for folder in cache().glob(pattern):
            shutil.rmtree(folder)
