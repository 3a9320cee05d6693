"""Launchers on loopback; none of them outlives its test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unavailable import unavailable

sys.path.insert(0, str(Path(__file__).parent))
from nodes import Nodes


class LateName:
    """A host name that nobody knows yet. `within` is for Nodes.start: it needs a hosts file of the launcher's own."""

    host = "late-0.ftj-late"

    def __init__(self, folder: Path) -> None:
        self._hosts = folder / "hosts"
        self._hosts.write_text(Path("/etc/hosts").read_text())
        bind = f'mount --bind {self._hosts} /etc/hosts && exec "$@"'
        self.within = ["unshare", "--mount", "sh", "-c", bind, "sh"]

    def reveal(self) -> None:
        """From now on it is this machine."""
        with self._hosts.open("a") as file:
            file.write(f"127.0.0.1 {self.host}\n")


@pytest.fixture
def late_name(tmp_path: Path) -> LateName:
    """Needs root: elsewhere the test is skipped, in CI that is a failure."""
    name = LateName(tmp_path)
    tried = subprocess.run([*name.within, "true"], capture_output=True, text=True)
    if tried.returncode:
        unavailable(f"no hosts file of its own: {tried.stderr.strip()}")
    return name


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Callable[..., Nodes]]:
    """Makes the nodes of an attempt; arguments as those of Nodes."""
    made: list[Nodes] = []

    def make(**arguments: Any) -> Nodes:
        made.append(Nodes(tmp_path, **arguments))
        return made[-1]

    yield make
    for group in made:
        group.close()
