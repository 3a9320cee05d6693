"""Releases of the chart, by the real helm, and the operators of one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config

import cluster
from cluster import chart
from cluster.command import CommandError, run
from cluster.eventually import eventually

CHART = Path(__file__).parents[2] / "helm" / "finetune-operator"
CRD = "finetunejobs.finetune.dev"


class Release:
    """A release of the chart, installed or not, with images of this checkout.

    Args:
        name: it contains the chart's name, so the objects have this name too.
    """

    def __init__(self, made: cluster.Cluster, name: str, namespace: str) -> None:
        self.name, self.namespace, self._cluster = name, namespace, made
        self._env = {**os.environ, "KUBECONFIG": str(made.kubeconfig), "PATH": f"{made.binaries}:{os.environ['PATH']}"}
        api = config.new_client_from_config(str(made.kubeconfig))
        self._core, self._leases = client.CoreV1Api(api), client.CoordinationV1Api(api)

    # --- what an administrator does
    def upgrade(self, *, folder: Path = CHART, **values: Any) -> None:
        """Install or upgrade it with these values and wait until the operator is ready. Raises CommandError."""
        given = {**chart.image_values(self._cluster), **values}
        options = [part for name, value in given.items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
        self.helm("upgrade", "--install", self.name, folder, "--create-namespace", *options, "--wait", "--timeout", "3m")

    def uninstall(self) -> str:
        """Remove it, if it is there, and wait until its operator has gone. Returns what helm said."""
        said = self.helm("uninstall", self.name, "--ignore-not-found", "--wait", "--timeout", "1m")
        eventually(lambda: not self.operators(), 60)
        return said

    def helm(self, *arguments: str | Path) -> str:
        """helm in the release's namespace. Raises CommandError."""
        return run(["helm", *arguments, "--namespace", self.namespace], env=self._env)

    def kubectl(self, *arguments: str) -> str:
        """kubectl. Raises CommandError."""
        return run(["kubectl", *arguments], env=self._env)

    # --- what there is
    def operators(self) -> list[Any]:
        """Its pods."""
        selector = f"app.kubernetes.io/instance={self.name}"
        found: list[Any] = self._core.list_namespaced_pod(self.namespace, label_selector=selector).items
        return found

    def leader(self) -> str:
        """Name of the pod that works, of several."""
        return str(self._leases.read_namespaced_lease(self.name, self.namespace).spec.holder_identity)

    # --- faults
    def kill(self, pod: str) -> None:
        """kill -9 of the process of one operator, if there is one just now."""
        (node,) = [each.spec.node_name for each in self.operators() if each.metadata.name == pod]
        try:
            pids = self._cluster.node_exec(node, ["pgrep", "-f", "^python -m finetune_operator"]).split()
            # Both replicas may be on that node; what they were started with tells which is which.
            environments = [f"/proc/{pid}/environ" for pid in pids]
            mine = self._cluster.node_exec(node, ["grep", "-lzx", f"FINETUNE_OPERATOR_IDENTITY={pod}", *environments]).split()
            self._cluster.node_exec(node, ["kill", "-KILL", *(path.split("/")[2] for path in mine)])
        except CommandError:  # It has ended, or has not been started again yet.
            return


@contextmanager
def put_back(release: Release) -> Iterator[None]:
    """The cluster without this release, until left: then it is as it was found, with it or without."""
    found: list[Mapping[str, Any]] = json.loads(release.helm("list", "--filter", f"^{release.name}$", "--output", "json"))
    values = json.loads(release.helm("get", "values", release.name, "--output", "json")) if found else {}
    try:
        release.uninstall()
        yield
    finally:
        release.uninstall()
        if found:
            release.upgrade(**values)
