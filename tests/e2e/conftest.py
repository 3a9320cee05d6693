"""The cluster with the operator on it, once for all tests of this folder; a namespace for each test."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

import cluster
from cluster import chart
from cluster.eventually import eventually
from unavailable import unavailable

from .jobs import put_inputs
from .world import World, make_world

ROOT = Path(__file__).parents[2]
PROGRESS_SECONDS = 2


@dataclass(frozen=True)
class Installed:
    """The cluster, and a client for it. The operator is installed in the namespace chart.NAMESPACE."""

    cluster: cluster.Cluster
    api: client.ApiClient

    def kill_operator(self) -> None:
        """kill -9 of the operator's process, and a new pod: the kubelet would wait longer each time to start the old one again."""
        core = client.CoreV1Api(self.api)
        pod = eventually(lambda: self._running_operator(core), seconds=60)
        self.cluster.node_exec(pod.spec.node_name, ["pkill", "-KILL", "-f", "^python -m finetune_operator"])
        core.delete_namespaced_pod(pod.metadata.name, chart.NAMESPACE, grace_period_seconds=0)

    def _running_operator(self, core: client.CoreV1Api) -> Any:
        pods = core.list_namespaced_pod(chart.NAMESPACE, label_selector="app.kubernetes.io/name=finetune-operator").items
        running = [pod for pod in pods if not pod.metadata.deletion_timestamp and pod.status.container_statuses]
        return next((pod for pod in running if pod.status.container_statuses[0].state.running), None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make cluster and images before the first test: the first time that takes minutes, and fixtures count for a test's time."""
    needed = any(item.get_closest_marker("e2e") for item in session.items)
    if needed and not session.config.option.collectonly:
        with suppress(cluster.Lacking):  # The fixture says so.
            chart.upgrade_command(cluster.up(), progress_seconds=PROGRESS_SECONDS)


@pytest.fixture(scope="session")
def installed() -> Installed:
    """Cluster up, images built and loaded, chart installed."""
    try:
        made = cluster.up()
        command = chart.upgrade_command(made, progress_seconds=PROGRESS_SECONDS)
    except cluster.Lacking as lacking:
        unavailable(lacking)
    env = {**os.environ, "KUBECONFIG": str(made.kubeconfig), "PATH": f"{made.binaries}:{os.environ['PATH']}"}
    subprocess.run(command, cwd=ROOT, env=env, check=True)
    return Installed(made, config.new_client_from_config(str(made.kubeconfig)))


@pytest.fixture
def world(installed: Installed, tiny_llama: Path) -> Iterator[World]:
    """A namespace of its own, with the tiny model and its data on the volume."""
    with make_world(installed.api, f"t-{uuid.uuid4().hex[:8]}", installed.cluster.shared) as made:
        put_inputs(made.shared, tiny_llama)
        yield made


@pytest.fixture(scope="session")
def undisturbed(installed: Installed, tiny_llama: Path) -> Iterator[World]:
    """A namespace in which the job `calm` has run to its end without any disturbance."""
    from .jobs import training

    with make_world(installed.api, f"t-{uuid.uuid4().hex[:8]}", installed.cluster.shared) as made:
        put_inputs(made.shared, tiny_llama)
        made.apply(training("calm"))
        made.until_phase("calm", "Succeeded")
        yield made
