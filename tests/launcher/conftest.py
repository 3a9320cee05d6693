"""Launchers on loopback; none of them outlives its test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from nodes import Nodes


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
