"""Bring images from the engine into nodes. Saving a large image takes longest, so what changed last is brought alone."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster.command import CommandError, run, run_bytes
from cluster.docker import Docker, full_name
from cluster.kind import NAME
from cluster.progress import Log

_CTR = ("ctr", "--namespace", "k8s.io")
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def load(docker: Docker, programs: Path, nodes: Sequence[str], image: str, log: Log) -> None:
    """Load `image` (NAME:TAG, in the engine) into those of `nodes` that do not hold it, as kind does it: all of its layers."""
    lacking = _lacking(docker, nodes, image)
    if lacking:
        log(f"Loading {image} into {', '.join(lacking)}")
        run(
            [programs / "kind", "load", "docker-image", image, "--name", NAME, "--nodes", ",".join(lacking)], env=docker.environment
        )


def load_on_top(docker: Docker, nodes: Sequence[str], image: str, below: str, folder: str, log: Log) -> None:
    """Load `image`, which is the image `below` with one more layer that only has `folder`, into nodes that hold `below`."""
    lacking = _lacking(docker, nodes, image)
    if not lacking:
        return
    log(f"Loading {image} into {', '.join(lacking)}")
    manifest, config = _read_image(docker, lacking[0], below)
    layers, settings = json.loads(docker.run("image", "inspect", "--format", "[{{json .RootFS.Layers}}, {{json .Config}}]", image))
    if layers[:-1] != config["rootfs"]["diff_ids"]:
        raise CommandError(f"{image} is not {below} with one more layer")
    archive = stacked(full_name(image), manifest, config, settings, _folder_of(docker, image, folder))
    with ThreadPoolExecutor(len(lacking)) as pool:
        list(pool.map(lambda node: _import(docker, node, archive), lacking))


def stacked(name: str, manifest: Mapping[str, Any], config: Mapping[str, Any], settings: Mapping[str, Any], layer: bytes) -> bytes:
    """An OCI archive of an image that is another image with a layer on top; it has that layer only.

    Args:
        name: full name of the image in the archive.
        manifest: the other image's.
        config: the other image's.
        settings: how containers of the image run (environment, entry point, user).
        layer: a tar file.
    """
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    root = {**config["rootfs"], "diff_ids": [*config["rootfs"]["diff_ids"], digest]}
    new_config = {key: config[key] for key in ("architecture", "os")} | {"config": settings, "rootfs": root}
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as archive:
        described_config = _add_blob(archive, json.dumps(new_config).encode(), _CONFIG)
        layers = [*manifest["layers"], _add_blob(archive, layer, _LAYER)]
        new_manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described_config, "layers": layers}
        described = _add_blob(archive, json.dumps(new_manifest).encode(), _MANIFEST)
        described["annotations"] = {"io.containerd.image.name": name}
        _add_file(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [described]}).encode())
        _add_file(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    return files.getvalue()


def _lacking(docker: Docker, nodes: Sequence[str], image: str) -> list[str]:
    return [node for node in nodes if full_name(image) not in docker.run("exec", node, *_CTR, "images", "list", "--quiet").split()]


def _read_image(docker: Docker, node: str, image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and config of an image that a node holds."""
    listed = docker.run("exec", node, *_CTR, "images", "list", f"name=={full_name(image)}").splitlines()
    if len(listed) < 2:
        raise CommandError(f"{node} does not hold {image}")
    manifest = _read_blob(docker, node, next(word for word in listed[1].split() if word.startswith("sha256:")))
    while "manifests" in manifest:
        real = [each for each in manifest["manifests"] if each.get("platform", {}).get("architecture") != "unknown"]
        manifest = _read_blob(docker, node, real[0]["digest"])
    return manifest, _read_blob(docker, node, manifest["config"]["digest"])


def _read_blob(docker: Docker, node: str, digest: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(docker.run("exec", node, *_CTR, "content", "get", digest))
    return content


def _folder_of(docker: Docker, image: str, folder: str) -> bytes:
    """A folder of an image, as a tar file with paths from the root."""
    container = docker.run("create", image).strip()
    try:
        return run_bytes(["docker", "cp", f"{container}:{folder}", "-"], env=docker.environment)
    finally:
        docker.run("rm", "--force", container)


def _import(docker: Docker, node: str, archive: bytes) -> None:
    argv = ["docker", "exec", "--interactive", node, *_CTR, "images", "import", "--all-platforms", "-"]
    run_bytes(argv, env=docker.environment, stdin=archive)


def _add_blob(archive: tarfile.TarFile, content: bytes, media_type: str) -> dict[str, Any]:
    """Add a blob; its descriptor."""
    name = hashlib.sha256(content).hexdigest()
    _add_file(archive, f"blobs/sha256/{name}", content)
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(content)}


def _add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
