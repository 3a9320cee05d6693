"""The archive of an image that is another one with a layer on top."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from cluster.docker import full_name
from cluster.loading import stacked

MANIFEST = {"layers": [{"mediaType": "any", "digest": "sha256:aa", "size": 7}], "config": {"digest": "sha256:cc"}}
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["OLD=1"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:bb"]},
}
SETTINGS = {"Env": ["NEW=1"], "User": "1000:1000"}


def read(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_it_has_the_new_layer_and_names_the_others() -> None:
    files = read(stacked("docker.io/library/top:1", MANIFEST, CONFIG, SETTINGS, b"layer"))

    def blob(described: dict[str, Any]) -> bytes:
        content = files["blobs/" + described["digest"].replace(":", "/")]
        assert described["size"] == len(content)
        assert described["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        return content

    (described,) = json.loads(files["index.json"])["manifests"]
    assert described["annotations"] == {"io.containerd.image.name": "docker.io/library/top:1"}
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    below, top = manifest["layers"]
    assert below == MANIFEST["layers"][0]  # type: ignore[index]
    assert blob(top) == b"layer"
    assert config["rootfs"]["diff_ids"] == ["sha256:bb", top["digest"]]
    assert config["config"] == SETTINGS
    assert len(files) == 5, "manifest, config, layer, index.json, oci-layout"


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("top:1", "docker.io/library/top:1"),
        ("team/top:1", "docker.io/team/top:1"),
        ("localhost/top:1", "localhost/top:1"),
        ("registry.example/team/top:1", "registry.example/team/top:1"),
        ("registry:5000/top", "registry:5000/top"),
    ],
)
def test_containerd_knows_images_with_their_registry(image: str, full: str) -> None:
    assert full_name(image) == full
