"""Images that every node has from its first second.

A store is what containerd keeps in /var/lib/containerd after an import. It is filled once; each node gets a copy made of hard
links, which takes a second and no room (containerd never changes a file of an image, and its two databases are copied).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster.command import CommandError, run
from cluster.docker import Docker


def fill(docker: Docker, store: Path, node_image: str, images: Sequence[str], log: Callable[[str], object]) -> None:
    """Import those of `images` (names in the engine) that the store does not hold as they are now."""
    held_file = store / "held.json"
    held: dict[str, str] = json.loads(held_file.read_text()) if held_file.exists() else {}
    wanted = {image: docker.run("image", "inspect", "--format", "{{.Id}}", image).strip() for image in images}
    missing = [image for image, identity in wanted.items() if held.get(image) != identity]
    if not missing:
        return
    log(f"Putting into the nodes' image store: {', '.join(missing)}")
    root = store / "containerd"
    root.mkdir(parents=True, exist_ok=True)
    mount = f"type=bind,source={root},target=/var/lib/containerd"
    importing = [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--privileged",
        "--mount",
        mount,
        "--entrypoint",
        "import-images",
        node_image,
    ]
    environment = dict(docker.environment)
    with subprocess.Popen(["docker", "save", *missing], stdout=subprocess.PIPE, env=environment) as saving:
        imported = subprocess.run(importing, stdin=saving.stdout, env=environment, capture_output=True, text=True)
    if saving.returncode or imported.returncode:
        raise CommandError(f"Importing images failed:\n{imported.stderr.strip()}")
    held_file.write_text(json.dumps({**held, **wanted}, indent=2))


def copy(store: Path, target: Path) -> None:
    """Make the folder `target`, for /var/lib/containerd of one node, replacing what is there."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "--archive", "--link", store / "containerd", target])
    for database in target.glob("io.containerd.*/*.db"):
        content = database.read_bytes()
        database.unlink()
        database.write_bytes(content)
