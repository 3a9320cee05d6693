"""Two replicas of the operator: one works, and when it is gone or silent the other takes over; never do both write."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cluster.api import Api
from cluster.audit import Write
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from cluster.operator_process import operator_process
from cluster.process import Process
from finetune_operator.shell.kube import AioKube, Unreachable
from finetune_operator.shell.login import load_configuration
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.resources import CONFIG_MAPS
from shell.jobs import CLAIM, claim, config_map, finetune_job

#: The replicas' users in the audit log.
FIRST, SECOND = "operator", "scheduler"
VOLUME = {"persistentVolumeClaim": {"claimName": CLAIM}}


class Replicas:
    """Both, the second started when the first holds the Lease."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self._plane, self._api, self._namespace, self._since = plane, plane.api, namespace, plane.audit.here()
        self.first, self.second = (self._process(user, folder) for user in (FIRST, SECOND))

    def _process(self, user: str, folder: Path) -> Process:
        env = {"LEASE": f"{self._namespace}/operator", "IDENTITY": user, "NAMESPACES": self._namespace}
        env = {f"FINETUNE_OPERATOR_{name}": value for name, value in env.items()}
        return operator_process(self._plane.kubeconfig_for(user), folder / user, env)

    def start(self) -> None:
        self.first.start()
        eventually(lambda: self.holder() == FIRST, 20)
        self.second.start()
        eventually(lambda: "Standing by" in self.second.last_lines(), 20)

    def holder(self) -> str:
        lease = self._api.find("Lease", self._namespace, "operator") or {}
        return str(lease.get("spec", {}).get("holderIdentity", ""))

    def writes(self, user: str) -> list[Write]:
        """What that replica wrote, but the Lease."""
        found = self._plane.audit.writes(self._since)
        return [
            write for write in found if write.user == user and write.resource != "leases" and write.namespace == self._namespace
        ]


@pytest.fixture
def replicas(nobody_else: None, control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Replicas]:
    made = Replicas(control_plane, namespace, tmp_path)
    made.start()
    yield made
    for process in (made.first, made.second):
        process.kill()


def test_the_second_takes_over_from_one_that_was_killed(replicas: Replicas, api: Api, kubelet: Kubelet, namespace: str):
    """And at once from one that was asked to stop."""
    api.create(claim(namespace))
    api.create(finetune_job(namespace, "a", nodes=1, run_policy={"maxRestarts": 3}))
    (pod,) = kubelet.wait_for_pods(1, "a-0", seconds=20)
    assert replicas.writes(SECOND) == []
    replicas.first.kill()
    kubelet.fail(kubelet.run(pod), 75)
    kubelet.wait_for_pods(1, "a-1", seconds=40)
    assert replicas.holder() == SECOND
    assert [each["metadata"]["name"] for each in api.list("Job", namespace)] == ["a-0", "a-1"]
    replicas.first.start()
    eventually(lambda: "Standing by: scheduler works" in replicas.first.last_lines(), 20)
    assert replicas.second.stop() == 0
    eventually(lambda: replicas.holder() == FIRST, 6)
    api.create(finetune_job(namespace, "b", nodes=1, output={"volume": VOLUME, "path": "b"}))
    kubelet.wait_for_pods(1, "b-0", seconds=20)


def test_one_that_wakes_up_late_writes_nothing_any_more(replicas: Replicas, api: Api, namespace: str):
    """It was stopped, as a node's freeze does, with work before it when it goes on."""
    api.create(claim(namespace))
    api.create(finetune_job(namespace, "a"))
    eventually(lambda: replicas.writes(FIRST), 20)
    replicas.first.signal(signal.SIGSTOP)
    eventually(lambda: replicas.holder() == SECOND, 40)
    written = len(replicas.writes(FIRST))
    for name in "bcd":
        api.create(finetune_job(namespace, name, output={"volume": VOLUME, "path": name}))
    replicas.first.signal(signal.SIGCONT)
    assert replicas.first.wait(20) == 1
    assert "Lease" in replicas.first.last_lines()
    eventually(lambda: len(api.list("Job", namespace)) == 4, 20)
    assert len(replicas.writes(FIRST)) == written


async def test_without_the_lease_each_write_is_refused_before_it_is_sent(control_plane: ControlPlane, api: Api, namespace: str):
    holds = [True]
    kube = AioKube(await load_configuration({"KUBECONFIG": str(control_plane.kubeconfig)}), Metrics(), lambda: holds[0])
    map_of = partial(config_map, namespace)
    try:
        await kube.create(map_of("before"))
        holds[0] = False
        with pytest.raises(Unreachable, match="does not hold the Lease any more"):
            await kube.create(map_of("after"))
        assert (await kube.get(CONFIG_MAPS, namespace, "before"))["kind"] == "ConfigMap"
    finally:
        await kube.close()
    assert api.find("ConfigMap", namespace, "after") is None
