"""Images that every node has from its first second.

A store is what containerd keeps in /var/lib/containerd after an import. It is filled once, and every node has it as a read-only
folder. Each node's own /var/lib/containerd then has links where layers of images are, and copies of containerd's two databases:
made in no time, and what one node reads from a layer is in memory for all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cluster.command import pipe
from cluster.docker import Docker, full_name
from cluster.progress import Log

#: Where nodes have the store.
MOUNTED = "/kind/images"


def fill(docker: Docker, store: Path, node_image: str, images: Sequence[str], log: Log) -> None:
    """Make the store hold `images` (names in the engine) as they are now, and no others."""
    held_file = store / "held.json"
    held: dict[str, str] = json.loads(held_file.read_text()) if held_file.exists() else {}
    wanted = {image: docker.run("image", "inspect", "--format", "{{.Id}}", image).strip() for image in images}
    missing = [image for image, identity in wanted.items() if held.get(image) != identity]
    if not missing:
        return
    log(f"Putting {len(missing)} images into the nodes' image store")
    stale = [full_name(image) for image in held if image not in wanted]
    root = store / "containerd"
    root.mkdir(parents=True, exist_ok=True)
    mount = f"type=bind,source={root},target=/var/lib/containerd"
    container = ["docker", "run", "--rm", "--interactive", "--privileged", "--mount", mount]
    importing = [*container, "--entrypoint", "import-images", node_image, *stale]
    held_file.unlink(missing_ok=True)
    pipe(["docker", "save", *missing], importing, env=docker.environment)
    held_file.write_text(json.dumps(wanted, indent=2))


def start_from(store: Path, target: Path) -> None:
    """Make the folder `target`, for /var/lib/containerd of one node that has `store` at MOUNTED, replacing what is there."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    source = store / "containerd"
    layers = {folder.relative_to(source) for folder in source.glob("io.containerd.snapshotter.*/snapshots/*/fs")}

    def without_layers(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(folder, name).relative_to(source) in layers]

    shutil.copytree(source, target, ignore=without_layers, copy_function=_link)
    for layer in layers:
        (target / layer).symlink_to(Path(MOUNTED) / "containerd" / layer)


def _link(source: str, target: str) -> None:
    """A hard link to what never changes, a copy of a database."""
    if source.endswith(".db"):
        shutil.copy2(source, target)
    else:
        os.link(source, target)
