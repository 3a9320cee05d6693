"""The cluster's way up and down."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cluster import images, kind, kind_config, loading
from cluster.binaries import binaries
from cluster.content import digest
from cluster.docker import Docker
from cluster.engine import engine, engine_state
from cluster.folders import cache, state
from cluster.lacks import Lacking
from cluster.locked import locked
from cluster.prepared import engine as prepared_engine
from cluster.prepared import image_store
from cluster.prepared.debian import debian
from cluster.prepared.node_image import component_images, components_content, node_image
from cluster.prepared.place import place

Log = Callable[[str], object]
#: Names the kubeconfig of another cluster, to be used instead of one of our own.
GIVEN = "FINETUNE_TEST_KUBECONFIG"


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up.

    Attributes:
        kubeconfig: of its administrator.
        shared: the folder of this machine that the workers have at /var/lib/finetune; any user may write it.
        binaries: folder of kubectl and helm (and more, where the cluster was made here).
        nodes: names of the nodes, the control plane first. Each is a container of that name.
        docker: the engine of the nodes. None where the cluster was given by FINETUNE_TEST_KUBECONFIG.
        base: the image that others are built on, None for the Dockerfiles' own.
        log: takes a line when something takes long.
    """

    kubeconfig: Path
    shared: Path
    binaries: Path
    nodes: tuple[str, ...] = ()
    docker: Docker | None = None
    base: str | None = None
    log: Log = field(default=print, repr=False)

    def load(self, image: str) -> None:
        """Bring an image of the engine to the workers, unless they have it."""
        loading.load(self._engine(), self.binaries, self.nodes[1:], image, self.log)

    def node_exec(self, node: str, argv: Sequence[str]) -> str:
        """Run a command as root in a node: what it wrote. Raises CommandError."""
        return self._engine().run("exec", node, *argv)

    def down(self) -> None:
        """Remove the cluster, unless it was given."""
        if self.docker is not None:
            down(self.log)

    def _engine(self) -> Docker:
        if self.docker is None:
            raise Lacking(f"The nodes of the cluster that {GIVEN} names cannot be reached")
        return self.docker


def up(log: Log = print) -> Cluster:
    """Make the cluster of kind-config.yaml, or find it as it was left.

    Takes 25 s when all is cached, a second or two when it is up, and about 12 minutes the first time on a machine without engine
    and registry. Raises Lacking where this machine cannot have one.
    """
    given = os.environ.get(GIVEN)
    if given:
        shared = kind_config.shared(kind_config.read())
        return Cluster(Path(given).resolve(), shared, binaries(log, ("kubectl", "helm")), log=log)
    with locked(cache() / "state.lock", log):
        docker = engine(log)
        programs = binaries(log)
        return (_up_prepared if docker.prepared else _up)(docker, programs, log)


def down(log: Log = print) -> None:
    """Remove the cluster and all that was started or changed for it; what is cached stays. Does nothing when it is down."""
    with locked(cache() / "state.lock", log):
        if not state().exists():
            return
        kind.remove(engine(log))
        prepared_engine.down(engine_state())
        shutil.rmtree(state())


def _up(docker: Docker, programs: Path, log: Log) -> Cluster:
    """With the user's engine: kind and its node image as they are."""
    shared = _shared_folder()
    config = kind_config.with_shared(kind_config.read(), shared)
    cluster = Cluster(state() / "kubeconfig", shared, programs, tuple(kind_config.node_names(config)), docker, None, log)
    _ensure(cluster, config, None, lambda: None)
    for image in (images.OPERATOR, images.TRAINER):
        cluster.load(images.dependencies(image, docker, None, log))
    return cluster


def _up_prepared(docker: Docker, programs: Path, log: Log) -> Cluster:
    """With an engine that was prepared: node image and image store of our own."""
    base = debian(docker, cache(), log)
    image = node_image(docker, programs, base, log)
    shared = _shared_folder()
    committed = kind_config.read()
    names = kind_config.node_names(committed)
    stores = {name: state() / "nodes" / name for name in names}
    config = kind_config.with_image_stores(kind_config.with_shared(committed, shared), stores)
    config = kind_config.with_api_server(config, place(engine_state()).inside)
    cluster = Cluster(state() / "kubeconfig", shared, programs, tuple(names), docker, base, log)

    def prepare_stores() -> None:
        store = cache() / f"image-store-{components_content(base)}"
        held = component_images(docker, programs, base, log)
        held += [images.dependencies(each, docker, base, log) for each in (images.OPERATOR, images.TRAINER)]
        image_store.fill(docker, store, image, held, log)
        for folder in stores.values():
            image_store.copy(store, folder)

    _ensure(cluster, config, image, prepare_stores)
    return cluster


def _ensure(cluster: Cluster, config: dict[str, Any], image: str | None, prepare: Callable[[], None]) -> None:
    """Create the cluster unless it is there, made the same way, and ready."""
    assert cluster.docker is not None
    record = state() / "cluster.json"
    made_of = {"nodes": list(cluster.nodes), "of": digest([yaml.safe_dump(config), image or ""])}
    if (
        record.exists()
        and json.loads(record.read_text()) == made_of
        and sorted(kind.running(cluster.docker)) == sorted(cluster.nodes)
    ):
        if kind.ready(cluster.binaries, cluster.kubeconfig, cluster.nodes):
            return
        cluster.log("The cluster does not get ready: making it anew")
    kind.remove(cluster.docker)
    record.unlink(missing_ok=True)
    prepare()
    cluster.log("Creating the cluster (kind, 3 nodes; 25 s)")
    (state() / "kind.yaml").write_text(yaml.safe_dump(config))
    kind.create(cluster.docker, cluster.binaries, state() / "kind.yaml", cluster.kubeconfig, image)
    if not kind.ready(cluster.binaries, cluster.kubeconfig, cluster.nodes):
        raise TimeoutError("The nodes do not get Ready")
    record.write_text(json.dumps(made_of))


def _shared_folder() -> Path:
    folder = state() / "shared"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    return folder
