"""The cluster's way up and down."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cluster import images, kind, kind_config, loading
from cluster.binaries import binaries, check_buildable
from cluster.content import digest
from cluster.docker import Docker
from cluster.engine import engine, engine_state
from cluster.folders import cache, state
from cluster.lacks import Lacking
from cluster.locked import locked
from cluster.prepared import engine as prepared_engine
from cluster.prepared import nodes as prepared_nodes
from cluster.prepared.node_image import node_image_name
from cluster.progress import Log, say

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
    log: Log = field(default=say, repr=False)

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


def up(log: Log = say) -> Cluster:
    """Make the cluster of kind-config.yaml, or find it as it was left.

    Takes half a minute when all is cached, a second or two when it is up, and about 12 minutes the first time on a machine without
    engine and registry. Raises Lacking where this machine cannot have one.
    """
    given = os.environ.get(GIVEN)
    if given:
        shared = kind_config.shared(kind_config.read())
        return Cluster(Path(given).resolve(), shared, binaries(log, ("kubectl", "helm")), log=log)
    with locked(cache() / "state.lock", log):
        check_buildable()
        docker = engine(log)
        config = kind_config.with_shared(kind_config.read(), _shared_folder())
        if docker.prepared:
            config = prepared_nodes.configured(config, engine_state())
        cluster = Cluster(
            kubeconfig=state() / "kubeconfig",
            shared=_shared_folder(),
            binaries=binaries(names=()),
            nodes=tuple(kind_config.node_names(config)),
            docker=docker,
            base=prepared_nodes.BASE if docker.prepared else None,
            log=log,
        )
        image = node_image_name(prepared_nodes.BASE) if docker.prepared else None
        if not _is_up(cluster, docker, config, image):
            _make(cluster, docker, config, image)
        return cluster


def down(log: Log = say) -> None:
    """Remove the cluster and all that was started or changed for it; what is cached stays. Does nothing when it is down."""
    with locked(cache() / "state.lock", log):
        if not state().exists():
            return
        if _record().exists():
            kind.remove(engine(log))
        prepared_engine.down(engine_state())
        shutil.rmtree(state())


def _is_up(cluster: Cluster, docker: Docker, config: Mapping[str, Any], image: str | None) -> bool:
    """Whether the cluster was made like this, and gets ready within a minute or two."""
    if not _record().exists() or json.loads(_record().read_text()) != _made_of(config, image):
        return False
    if sorted(kind.running(docker)) != sorted(cluster.nodes):
        return False
    return kind.ready(cluster.binaries, cluster.kubeconfig, cluster.nodes)


def _make(cluster: Cluster, docker: Docker, config: Mapping[str, Any], image: str | None) -> None:
    if kind.exists(docker):
        if not _record().exists() and not docker.prepared:
            raise Lacking(
                f"There is a kind cluster named {kind.NAME} that was made by other means; `kind delete cluster --name {kind.NAME}`"
            )
        cluster.log("Removing what is left of the cluster")
        kind.remove(docker)
    if docker.prepared:
        prepared_nodes.prepare(config, docker, cluster.log)
    else:
        binaries(cluster.log)
    cluster.log("Creating the cluster (kind, 3 nodes; half a minute)")
    _record().write_text(json.dumps(_made_of(config, image)))
    (state() / "kind.yaml").write_text(yaml.safe_dump(config))
    kind.create(docker, cluster.binaries, state() / "kind.yaml", cluster.kubeconfig, image)
    if not kind.ready(cluster.binaries, cluster.kubeconfig, cluster.nodes):
        raise TimeoutError("The nodes do not get ready")
    for each in (images.OPERATOR, images.TRAINER):
        cluster.load(images.dependencies(each, docker, cluster.base, cluster.log))


def _record() -> Path:
    """What the cluster was made of: there from its first container to its last."""
    return state() / "cluster.json"


def _made_of(config: Mapping[str, Any], image: str | None) -> dict[str, str]:
    return {"digest": digest([yaml.safe_dump(config), image or ""])}


def _shared_folder() -> Path:
    folder = state() / "shared"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    return folder
