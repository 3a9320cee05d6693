"""Create and delete the nodes, with kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.command import run, succeeds
from cluster.docker import Docker
from cluster.kind_config import SHARED

NAME = "finetune"
#: The engine's network that the nodes are on.
NETWORK = "finetune"
_OURS = f"label=io.x-k8s.kind.cluster={NAME}"
_READY_SECONDS = 90


def create(docker: Docker, programs: Path, config: Path, kubeconfig: Path, node_image: str | None) -> None:
    """Create the cluster of a kind configuration. `node_image`: another one than kind's own."""
    image = ["--image", node_image] if node_image else []
    run(
        [programs / "kind", "create", "cluster", "--name", NAME, "--config", config, "--kubeconfig", kubeconfig, *image],
        env={**docker.environment, "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK},
    )


def exists(docker: Docker) -> bool:
    """Whether there is any node of that name, also one that does not run."""
    return bool(_containers(docker))


def remove(docker: Docker) -> None:
    """Remove nodes, their volumes (what is in the shared folder too) and their network, whatever state they are in."""
    nodes = _containers(docker)
    if nodes:
        for node in running(docker):
            # Files of pods may belong to users that this one, if not root, cannot delete files of.
            succeeds(["docker", "exec", node, "find", SHARED, "-mindepth", "1", "-delete"], env=docker.environment)
        docker.run("rm", "--force", "--volumes", *nodes)
    if NETWORK in docker.run("network", "ls", "--format", "{{.Name}}").split():
        docker.run("network", "rm", NETWORK)


def running(docker: Docker) -> list[str]:
    """Names of the nodes that run."""
    return docker.run("ps", "--format", "{{.Names}}", "--filter", _OURS).split()


def ready(programs: Path, kubeconfig: Path, nodes: Sequence[str]) -> bool:
    """Wait, bounded, until the nodes are Ready and the cluster's own pods run. False when that does not come about."""
    waiting = ["wait", "--for=condition=Ready", f"--timeout={_READY_SECONDS}s"]
    kubectl: list[str | Path] = [programs / "kubectl", "--kubeconfig", kubeconfig, *waiting]
    return succeeds([*kubectl, *(f"node/{name}" for name in nodes)]) and succeeds(
        [*kubectl, "pod", "--all", "--namespace=kube-system"]
    )


def _containers(docker: Docker) -> list[str]:
    return docker.run("ps", "--all", "--quiet", "--filter", _OURS).split()
