"""Prometheus' own programs, from Debian's package."""

from __future__ import annotations

import shutil

from cluster.command import CommandError
from cluster.debian_packages import install
from cluster.lacks import Lacking
from unavailable import unavailable

_PACKAGE = "prometheus"


def program(name: str) -> str:
    """Path of `prometheus` or `promtool`. Where it cannot be had, the test is skipped; in CI that is a failure."""
    if (found := shutil.which(name)) is None:
        try:
            install({name: _PACKAGE}, print)
        except (Lacking, CommandError) as error:
            unavailable(f"no {name}: {error}")
        found = shutil.which(name)
    if found is None:
        unavailable(f"Debian's package {_PACKAGE} has no {name}")
    return found
