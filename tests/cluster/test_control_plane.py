"""The control plane without nodes, and whoever plays kubelet on it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.api import Api, ApiError, Manifest
from cluster.automatic_kubelet import AutomaticKubelet
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.kubelet import INDEX, Kubelet, ended, node
from cluster.namespaces import create_namespace, delete_namespace
from cluster.process import Process


def _job(name: str, namespace: str) -> Manifest:
    """A bare Indexed Job of two pods that restricted Pod Security lets in."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "main", "image": "example/image:1", "securityContext": security}],
    }
    spec = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _conditions(api: Api, namespace: str, name: str) -> set[str]:
    return {each["type"] for each in api.get("Job", namespace, name)["status"].get("conditions", []) if each["status"] == "True"}


def test_a_job_runs_and_completes(api: Api, namespace: str, kubelet: Kubelet):
    api.create(_job("a", namespace))
    pods = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    eventually(lambda: api.get("Job", namespace, "a")["status"]["ready"] == 2)
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    with socket.socket() as server:
        server.bind((pods[0]["status"]["podIP"], 0))  # A test can serve on a pod's address.
    for pod in pods:
        kubelet.succeed(pod)
    eventually(lambda: "Complete" in _conditions(api, namespace, "a"))
    assert [pod["metadata"]["annotations"][INDEX] for pod in kubelet.pods("a")] == ["0", "1"]


def test_a_failed_pod_fails_the_job_when_its_peer_has_left(api: Api, namespace: str, kubelet: Kubelet):
    api.create(_job("a", namespace))
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    kubelet.fail(first, 75, "a lost peer")
    (peer,) = kubelet.wait_for_stopping(1)
    assert peer["metadata"]["uid"] == second["metadata"]["uid"]
    assert "Failed" not in _conditions(api, namespace, "a")
    kubelet.finish(peer)
    eventually(lambda: "Failed" in _conditions(api, namespace, "a"))
    (left,) = kubelet.pods("a")
    ended_with = left["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended_with["exitCode"], ended_with["message"]) == (75, "a lost peer")


def test_a_suspended_job_stops_its_pods_in_their_own_time(api: Api, namespace: str):
    with AutomaticKubelet(api, namespace, exit_code=77, stop_seconds=1.0):
        api.create(_job("a", namespace))
        eventually(lambda: api.get("Job", namespace, "a")["status"].get("ready") == 2)
        asked = time.monotonic()
        api.patch("Job", namespace, "a", {"spec": {"suspend": True}})
        eventually(lambda: api.get("Job", namespace, "a")["status"].get("terminating") == 2)
        eventually(lambda: not api.list("Pod", namespace))
        assert time.monotonic() - asked > 1.0
    assert api.get("Job", namespace, "a")["status"].get("failed", 0) == 0


def test_what_keeps_a_pod_from_running_can_be_said(api: Api, namespace: str, kubelet: Kubelet):
    api.create(_job("a", namespace))
    first, second = kubelet.wait_for_pods(2)
    assert kubelet.unschedulable(first)["status"]["conditions"][-1]["reason"] == "Unschedulable"
    second = kubelet.image_pull_backoff(second)
    assert second["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    kubelet.report(second, "FailedMount", "no such export")
    assert [event["reason"] for event in api.list("Event", namespace) if event["type"] == "Warning"] == ["FailedMount"]
    assert kubelet.run(first)["status"]["phase"] == "Running"


def test_disruptions_are_marked(api: Api, namespace: str, kubelet: Kubelet):
    api.create(_job("a", namespace))
    first, second = [kubelet.run(pod) for pod in kubelet.wait_for_pods(2)]
    lost, evicted = kubelet.lose(first), kubelet.evict(second)
    assert evicted["status"]["phase"] == "Failed" and "deletionTimestamp" in lost["metadata"]
    for pod in (lost, evicted):
        assert "DisruptionTarget" in {each["type"] for each in pod["status"]["conditions"]}
    kubelet.finish(lost)
    eventually(lambda: all(ended(pod) for pod in kubelet.pods()))


def test_pod_security_is_enforced(api: Api, namespace: str):
    pod = {"metadata": {"name": "p", "namespace": namespace}, "kind": "Pod", "apiVersion": "v1"}
    with pytest.raises(ApiError, match="restricted") as refused:
        api.create({**pod, "spec": {"containers": [{"name": "main", "image": "i"}]}})
    assert refused.value.status == 403


def test_a_service_account_may_do_what_its_role_says(control_plane: ControlPlane, api: Api, namespace: str):
    meta = {"name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "create"]}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    api.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    api.create(
        {"apiVersion": role["apiGroup"] + "/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": role, "subjects": [subject]}
    )
    reader = Api(control_plane.kubeconfig_of_service_account(namespace, "reader"))
    assert reader.list("Pod", namespace) == []
    with pytest.raises(ApiError) as refused:
        reader.list("Secret", namespace)
    assert refused.value.status == 403


def test_writes_are_counted_by_user(control_plane: ControlPlane, api: Api, namespace: str, kubelet: Kubelet):
    before = control_plane.audit.here()
    api.create(_job("a", namespace))
    pod, _ = kubelet.wait_for_pods(2)
    kubelet.run(pod)

    def counted() -> dict[tuple[str, str, str], int]:
        writes = [write for write in control_plane.audit.writes(before) if write.namespace == namespace and write.status < 400]
        keys = [(write.user, write.verb, write.resource) for write in writes]
        return {key: keys.count(key) for key in keys}

    eventually(lambda: ("kubelet", "patch", "pods/status") in counted())
    found = counted()
    assert found["admin", "create", "jobs"] == 1
    assert found["controllers", "create", "pods"] == 2
    assert found["kubelet", "create", "pods/binding"] == found["kubelet", "patch", "pods/status"] == 1


def test_the_api_server_comes_back_after_a_kill(control_plane: ControlPlane, api: Api, namespace: str):
    with AutomaticKubelet(api, namespace):
        control_plane.api_server.kill()
        control_plane.start_api_server()
        api.create(_job("a", namespace))
        eventually(lambda: api.get("Job", namespace, "a")["status"].get("ready") == 2, 60)


def test_a_namespace_goes_with_all_that_is_in_it(api: Api):
    name = create_namespace(api, "Going: away!")
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "runs", "namespace": name}, "spec": spec}
    eventually(lambda: api.find("ServiceAccount", name, "default"))
    api.create(claim)
    api.create(_job("a", name))
    kubelet = Kubelet(api, name)
    for pod in kubelet.wait_for_pods(2):
        kubelet.run(pod)
    delete_namespace(api, name)
    eventually(lambda: api.find("Namespace", None, name) is None, 60)


def test_nodes_can_be_made_up(api: Api):
    with node(api, "big", {"nvidia.com/gpu": "8"}):
        assert api.get("Node", None, "big")["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert api.find("Node", None, "big") is None


def test_a_process_dies_with_the_suite(tmp_path: Path):
    """Also when nobody gets to clean up."""
    code = (
        "import os, signal, sys; from pathlib import Path; from cluster.process import Process\n"
        f"child = Process(['sleep', '600'], Path({str(tmp_path / 'log')!r})); child.start()\n"
        "print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    child = int(done.stdout)
    eventually(lambda: not Path(f"/proc/{child}").exists() or "\nState:\tZ" in Path(f"/proc/{child}/status").read_text())


def test_a_process_that_will_not_stop_is_killed(tmp_path: Path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    stubborn = Process([sys.executable, "-c", code], tmp_path / "log")
    stubborn.start()
    eventually(lambda: stubborn.log.read_text() == "up\n")
    assert stubborn.stop(0.2) == -9
    assert not stubborn.running
