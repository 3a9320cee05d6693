"""Debian packages that the prepared engine needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from cluster.command import run
from cluster.lacks import Lacking

#: A program -> the package it comes in.
_PACKAGES = {
    "dockerd": "docker.io",
    "tini": "tini",
    "debootstrap": "debootstrap",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
}


def install(log: Callable[[str], object]) -> None:
    """Install those that are missing. Raises Lacking where that cannot be done."""
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program, path=_path()) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise Lacking(f"No Docker engine answers, and preparing one needs apt-get, or {', '.join(missing)}")
    log(f"Installing Debian packages: {', '.join(missing)}")
    apt = ["apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([*apt, "update"], env=environment)
    run([*apt, "install", "--no-install-recommends", *missing], env=environment)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
