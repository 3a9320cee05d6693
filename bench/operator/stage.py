"""A control plane with the operator on it, and what every scenario does there: submit, wait, count, clean up.

Times and counts are the API server's own, from its audit log; nobody watches while something is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.operator import shapes
from cluster.api import Api
from cluster.audit import Write
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.namespaces import create_namespace, delete_namespace
from cluster.process import Process

_SUBMITTERS = 8
#: The Job controller writes a Job's status up to a second after the last event of a pod.
_QUIET_SECONDS = 1.5
_WAIT_SECONDS = 120.0


class Stage:
    """Where both sides perform."""

    def __init__(self, plane: ControlPlane, operator: Process) -> None:
        self.plane, self.operator = plane, operator
        self.api = plane.api
        self.kubelet_api = Api(plane.kubeconfig_for("kubelet"))

    def namespace(self, like: str) -> str:
        """A fresh namespace with the claim that the jobs write to."""
        name = create_namespace(self.api, like)
        eventually(lambda: self.api.find("ServiceAccount", name, "default"), _WAIT_SECONDS)
        self.api.create(shapes.claim(name))
        return name

    def remove(self, namespace: str) -> None:
        """Delete a namespace and wait until nothing is left of it, and nobody has anything to do any more."""
        delete_namespace(self.api, namespace)
        eventually(lambda: self.api.find("Namespace", None, namespace) is None, _WAIT_SECONDS, every=0.5)
        self.quiet(self.plane.audit.here())

    def submit(self, jobs: Sequence[shapes.Manifest]) -> None:
        """Create them all, as fast as a few connections can."""
        with ThreadPoolExecutor(_SUBMITTERS) as pool:
            list(pool.map(self.api.create, jobs))

    def until(self, since: int, done: Callable[[list[Write]], bool], seconds: float = _WAIT_SECONDS) -> list[Write]:
        """Wait until `done` of all writes since a point of the audit log; returns them.

        Raises:
            RuntimeError: it took too long, or the operator has ended; with the end of its log.
        """
        writes: list[Write] = []
        end = time.monotonic() + seconds
        while not done(writes):
            if time.monotonic() > end or not self.operator.running:
                how = f"still runs after {seconds:g} s" if self.operator.running else f"ended with {self.operator.wait()}"
                raise RuntimeError(f"The operator {how}, jobs are not done. Its log:\n{self.operator.last_lines()}")
            time.sleep(0.02)
            more, since = self.plane.audit.read(since)
            writes += more
        return writes

    def quiet(self, since: int) -> list[Write]:
        """Wait until nobody has written anything about a namespace's objects for a while; returns the writes since that point."""
        writes: list[Write] = []
        last = time.monotonic()
        while time.monotonic() - last < _QUIET_SECONDS:
            time.sleep(0.1)
            more, since = self.plane.audit.read(since)
            writes += more
            if any(write.namespace and write.resource != "leases" for write in more):
                last = time.monotonic()
        return writes
