"""Programs that tests need beside Python's packages, from Debian's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from cluster.command import run
from cluster.lacks import Lacking
from cluster.progress import Log


def install(packages: Mapping[str, str], log: Log) -> None:
    """Install what is missing of these programs, each with the package it comes in.

    Raises:
        Lacking: that cannot be done on this machine.
        CommandError: apt-get does not get them.
    """
    missing = [package for program, package in packages.items() if shutil.which(program, path=_path()) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Lacking(
            f"Missing here: {', '.join(missing)} (as Debian's packages are called); only root can install them, with apt-get"
        )
    log(f"Installing Debian packages: {', '.join(missing)}")
    apt = ["apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([*apt, "update"], env=environment)
    run([*apt, "install", "--no-install-recommends", *missing], env=environment)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
