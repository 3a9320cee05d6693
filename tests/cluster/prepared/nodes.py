"""Nodes on a machine whose engine was prepared: how kind is told, and what must be there before."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster import images, kind_config
from cluster.binaries import binaries
from cluster.docker import Docker
from cluster.folders import cache, state
from cluster.prepared import debian, image_store
from cluster.prepared.node_image import component_images, components_content, node_image
from cluster.prepared.place import place
from cluster.progress import Log

#: The image that all others are built on.
BASE = debian.IMAGE


def configured(config: Mapping[str, Any], engine_state: Path) -> dict[str, Any]:
    """kind's configuration with what nodes in this engine need: their images, and an API server that this machine reaches."""
    images_mount: dict[str, Any] = {"hostPath": str(_images()), "containerPath": image_store.MOUNTED, "readOnly": True}
    mounts = {
        name: [images_mount, {"hostPath": str(_own(name)), "containerPath": "/var/lib/containerd"}]
        for name in kind_config.node_names(config)
    }
    return kind_config.with_api_server(kind_config.with_mounts(config, mounts), place(engine_state).inside)


def prepare(config: Mapping[str, Any], docker: Docker, log: Log) -> None:
    """Make all that the nodes of a configuration start from, as far as it is not cached."""
    with ThreadPoolExecutor(1) as pool:
        # Compilers keep processors busy, the others mostly wait for the network.
        building = pool.submit(binaries, log)
        debian.debian(docker, cache(), log)
        ours = [images.dependencies(image, docker, BASE, log) for image in (images.OPERATOR, images.TRAINER)]
        programs = building.result()
    node = node_image(docker, programs, BASE, log)
    components = component_images(docker, programs, BASE, log)
    for outdated in set(cache().glob("image-store-*")) - {_images()}:
        shutil.rmtree(outdated)
    image_store.fill(docker, _images(), node, [*components, *ours], log)
    for name in kind_config.node_names(config):
        image_store.start_from(_images(), _own(name))


def _images() -> Path:
    """The image store that all nodes read."""
    return cache() / f"image-store-{components_content(BASE)}"


def _own(node: str) -> Path:
    """What a node has at /var/lib/containerd."""
    return state() / "nodes" / node
