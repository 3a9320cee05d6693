"""Debian with Python, where no image of it can be pulled: the base of every image that is built here."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster.command import pipe, run
from cluster.docker import Docker
from cluster.progress import Log

IMAGE = "finetune-debian:bookworm"
_INCLUDE = "ca-certificates,python3,python3-venv"


def debian(docker: Docker, cache: Path, log: Log) -> str:
    """The name of the image, made by debootstrap (about 40 s) unless the engine has it."""
    if docker.has(IMAGE):
        return IMAGE
    log("Making a Debian base image with debootstrap (once; about 40 s)")
    work = cache / "debian"
    if work.exists():
        shutil.rmtree(work)
    # In namespaces of its own, as it mounts /proc in the new root and leaves it there when it is killed.
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
    run([*alone, "debootstrap", "--variant=minbase", f"--include={_INCLUDE}", "bookworm", work])
    for downloaded in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(work / downloaded)
        (work / downloaded / "partial").mkdir(parents=True)
    _import(docker, work)
    shutil.rmtree(work)
    return IMAGE


def _import(docker: Docker, root: Path) -> None:
    excluded = [f"--exclude=./{folder}/*" for folder in ("proc", "sys", "dev")]
    tar = ["tar", "--create", "--directory", str(root), *excluded, "."]
    importing = ["docker", "import", "--change", 'CMD ["bash"]', "-", IMAGE]
    pipe(tar, importing, env=docker.environment)
