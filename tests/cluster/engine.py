"""The Docker engine to use: the user's, or, where none answers, one that is prepared."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.command import succeeds
from cluster.docker import Docker
from cluster.folders import cache, state
from cluster.prepared import engine as prepared
from cluster.progress import Log


def engine(log: Log) -> Docker:
    """An engine that answers. Raises Lacking where there is none and none can be prepared."""
    if succeeds(["docker", "info"]):
        return Docker({**os.environ, "DOCKER_BUILDKIT": "1"}, prepared=False)
    folder = engine_state()
    prepared.up(folder, cache() / "engine", log)
    return Docker(prepared.environment(folder), prepared=True)


def engine_state() -> Path:
    """Where the prepared engine keeps what belongs to it while it runs."""
    return state() / "engine"
