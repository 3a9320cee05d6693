"""Debian with Python, where no image of it can be pulled: the base of every image that is built here."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from cluster.command import CommandError, run
from cluster.docker import Docker

IMAGE = "finetune-debian:bookworm"
_INCLUDE = "ca-certificates,python3,python3-venv"


def debian(docker: Docker, cache: Path, log: Callable[[str], object]) -> str:
    """The name of the image, made by debootstrap (about 40 s) unless the engine has it."""
    if docker.has(IMAGE):
        return IMAGE
    log("Making a Debian base image with debootstrap (once; about 40 s)")
    with tempfile.TemporaryDirectory(dir=cache, prefix="debian-") as folder:
        root = Path(folder) / "root"
        # In namespaces of its own, as it mounts /proc in the new root and leaves it there when it is killed.
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
        run([*alone, "debootstrap", "--variant=minbase", f"--include={_INCLUDE}", "bookworm", root])
        for downloaded in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / downloaded)
            (root / downloaded / "partial").mkdir(parents=True)
        tar = ["tar", "--create", "--directory", str(root), "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", "."]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
            importing = ["docker", "import", "--change", 'CMD ["bash"]', "-", IMAGE]
            imported = subprocess.run(importing, stdin=packing.stdout, env=dict(docker.environment), capture_output=True, text=True)
        if packing.returncode or imported.returncode:
            raise CommandError(f"docker import: {imported.stderr.strip()}")
    return IMAGE
