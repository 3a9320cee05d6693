"""kind-config.yaml as a cluster on this machine needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "kind-config.yaml"
#: Where the shared folder is in the workers.
SHARED = "/var/lib/finetune"


def node_names(config: Mapping[str, Any]) -> list[str]:
    """The names that kind gives to the nodes, in the order of the configuration."""
    seen: dict[str, int] = {}
    names = []
    for node in config["nodes"]:
        seen[node["role"]] = seen.get(node["role"], 0) + 1
        number = seen[node["role"]]
        names.append(f"{config['name']}-{node['role']}{number if number > 1 else ''}")
    return names


def shared(config: Mapping[str, Any]) -> Path:
    """The host folder that the workers share."""
    mounts = [mount for node in config["nodes"] for mount in node.get("extraMounts", [])]
    return Path(next(mount["hostPath"] for mount in mounts if mount["containerPath"] == SHARED))


def with_shared(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration with another host folder for the workers' shared one."""
    nodes = []
    for node in config["nodes"]:
        mounts = [
            {**mount, "hostPath": str(folder)} if mount["containerPath"] == SHARED else mount
            for mount in node.get("extraMounts", [])
        ]
        nodes.append({**node, "extraMounts": mounts})
    return {**config, "nodes": nodes}


def with_mounts(config: Mapping[str, Any], mounts: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The configuration with more folders of the host in its nodes. `mounts` has kind's extraMounts by name of the node."""
    nodes = []
    for name, node in zip(node_names(config), config["nodes"], strict=True):
        nodes.append({**node, "extraMounts": [*node.get("extraMounts", []), *mounts[name]]})
    return {**config, "nodes": nodes}


def with_api_server(config: Mapping[str, Any], address: str) -> dict[str, Any]:
    """The configuration with the API server at another address than loopback, and at a fixed port."""
    return {**config, "networking": {**config.get("networking", {}), "apiServerAddress": address, "apiServerPort": 6443}}


def read() -> dict[str, Any]:
    """The committed configuration."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return loaded
