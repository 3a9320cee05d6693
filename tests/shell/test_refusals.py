"""What a job lacks is said before anything is created, and what keeps its pods from running afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cluster.api import Api, Manifest
from cluster.eventually import eventually
from cluster.kubelet import Kubelet, node
from shell.jobs import Submit, claim, config_map, secret

_WITH_TOKEN: Manifest = {"source": "hf://Qwen/Qwen3-8B", "tokenSecretRef": {"name": "hub"}}
_ROWS: Manifest = {"sources": [{"uri": "configmap://rows/a.jsonl", "format": "alpaca"}]}


@pytest.mark.parametrize(
    ("reason", "spec", "names"),
    [
        ("SecretNotFound", {"model": _WITH_TOKEN}, "Secret hub"),
        ("ConfigMapNotFound", {"dataset": _ROWS}, "ConfigMap rows"),
        ("ClaimNotFound", {"output": {"volume": {"persistentVolumeClaim": {"claimName": "nowhere"}}}}, "nowhere"),
        ("ClaimNotShareable", {"output": {"volume": {"persistentVolumeClaim": {"claimName": "single"}}}}, "ReadWriteMany"),
    ],
)
def test_what_is_missing_is_named(submit: Submit, api: Api, namespace: str, reason: str, spec: Mapping[str, Any], names: str):
    api.create(claim(namespace, "single", "ReadWriteOnce"))
    job = submit(**spec)
    assert names in job.wait("Pending")["message"]
    assert (job.condition("Accepted")["status"], job.condition("Accepted")["reason"]) == ("False", reason)
    assert job.attempts() == [] and api.find("Service", namespace, "ftj-a") is None
    job.wait_for_events("Refused")


def test_a_job_with_all_it_names_is_accepted(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    job = submit(model=_WITH_TOKEN, dataset=_ROWS)
    assert "Secret hub" in job.wait("Pending")["message"]
    api.create(secret(namespace, "hub", token="x"))
    api.create(config_map(namespace, "rows", **{"a.jsonl": "{}"}))
    submit("b", model=_WITH_TOKEN, dataset=_ROWS)
    kubelet.wait_for_pods(2)


def test_two_jobs_never_share_an_output_folder(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    output = {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}, "path": "shared"}
    jobs = [submit(name, nodes=1, output=output) for name in ("b", "a", "c")]
    eventually(lambda: all(job.condition("Accepted") for job in jobs))
    accepted = [job for job in jobs if job.condition("Accepted")["status"] == "True"]
    assert len(accepted) == 1
    (owner,) = accepted
    refused = [job for job in jobs if job is not owner]
    assert {job.condition("Accepted")["reason"] for job in refused} == {"OutputInUse"}
    assert all(owner.name in job.message() for job in refused)
    assert len(kubelet.pods()) == 1


def test_a_request_that_no_node_can_meet_is_only_a_warning(submit: Submit, api: Api, kubelet: Kubelet):
    with node(api, "small", {"nvidia.com/gpu": "2", "memory": "16Gi", "cpu": "8"}):
        job = submit(resources={"limits": {"nvidia.com/gpu": 8}})
        kubelet.wait_for_pods(2)
        job.wait_for_events("NoNodeFits")
    accepted = job.condition("Accepted")
    assert accepted["status"] == "True" and "nvidia.com/gpu" in accepted["message"]


def test_what_keeps_a_pod_from_running_is_said(submit: Submit, kubelet: Kubelet):
    job = submit()
    first, second = kubelet.wait_for_pods(2)
    kubelet.unschedulable(first)
    eventually(lambda: "2 Insufficient memory" in job.message())
    kubelet.image_pull_backoff(kubelet.run(first, ready=False))
    kubelet.image_pull_backoff(second)
    eventually(lambda: "example/trainer:1 cannot be pulled" in job.message())


def test_a_volume_that_does_not_mount_is_said(submit: Submit, kubelet: Kubelet):
    job = submit(nodes=1)
    (pod,) = kubelet.wait_for_pods(1)
    pod = kubelet.waiting(pod, "ContainerCreating")
    kubelet.report(pod, "FailedMount", 'MountVolume.SetUp failed for volume "x" : no such export: nfs.example.com:/runs')
    eventually(lambda: "no such export" in job.message(), 15)


def test_what_the_api_server_refuses_is_said_and_tried_again(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    none = {"count/jobs.batch": "0"}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": none},
    }
    at = f"/api/v1/namespaces/{namespace}/resourcequotas"
    api.request("POST", at, quota)
    # There is no quota controller here to say it.
    api.request("PATCH", f"{at}/none/status", {"status": {"hard": none, "used": none}}, "application/merge-patch+json")
    job = submit()
    eventually(lambda: "exceeded quota" in job.message())
    assert job.status().get("startTime") is None
    api.request("DELETE", f"{at}/none")
    kubelet.wait_for_pods(2)
    eventually(lambda: "quota" not in job.message())


def test_an_object_of_somebody_else_is_left_alone(submit: Submit, api: Api, namespace: str, kubelet: Kubelet):
    api.create(config_map(namespace, "ftj-a", x="y"))
    job = submit()
    eventually(lambda: "ftj-a exists already" in job.message())
    assert api.get("ConfigMap", namespace, "ftj-a")["data"] == {"x": "y"}
    api.delete("ConfigMap", namespace, "ftj-a")
    eventually(lambda: (api.find("ConfigMap", namespace, "ftj-a") or {"metadata": {}})["metadata"].get("ownerReferences"))
    kubelet.wait_for_pods(2)
    eventually(lambda: "exists already" not in job.message())
