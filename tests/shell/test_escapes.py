"""What somebody tries who may do nothing but create FineTuneJobs, and what becomes of it.

They are after another namespace, the folder of another job, a path of the host, the token of a service account, a privileged pod,
the terminal of whoever looks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.api import Api, ApiError, Manifest
from cluster.control_plane import ControlPlane
from cluster.eventually import eventually
from cluster.kubelet import Kubelet
from finetune_api.contract import ExitCode
from finetune_operator.core.render.volumes import CACHE_PATH
from render.pod_security import restricted_violations
from shell.jobs import CLAIM, Submit, Submitted, finetune_job, message

MALLORY = "mallory"
#: A volume that all jobs of these tests have for their results.
ALL_RESULTS: Manifest = {"name": "all", "persistentVolumeClaim": {"claimName": CLAIM}}

Create = Callable[..., Submitted]


@pytest.fixture
def create(control_plane: ControlPlane, submit: Submit, api: Api, namespace: str) -> Create:
    """`submit` for somebody who has one right in one namespace, and whose client does not ask for strict validation."""
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": MALLORY, "namespace": namespace}})
    rules = [{"apiGroups": ["finetune.dev"], "resources": ["finetunejobs"], "verbs": ["create"]}]
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": MALLORY, "namespace": namespace}
    api.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    api.create(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": MALLORY},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        }
    )
    theirs = Api(control_plane.kubeconfig_of_service_account(namespace, MALLORY))

    def created(**spec: Any) -> Submitted:
        theirs.create(finetune_job(namespace, "escape", nodes=1, **spec))
        return Submitted(api, namespace, "escape")

    return created


def output(path: str | None = None, claim: str = CLAIM) -> Manifest:
    """spec.output."""
    return {"output": {"volume": {"persistentVolumeClaim": {"claimName": claim}}, **({"path": path} if path else {})}}


def pod(mount: Manifest | None = None, **spec: Any) -> Manifest:
    """spec.podTemplate, with something mounted at a path of the container."""
    containers = [{"volumeMounts": [{"mountPath": "/theirs", **mount}]}] if mount else []
    return {"podTemplate": {"spec": {"containers": containers, **spec}}}


def model(source: str = "hf://a/b", **more: Any) -> Manifest:
    """spec.model."""
    return {"model": {"source": source, **more}}


def metadata(**given: Any) -> Manifest:
    """spec.podTemplate with metadata."""
    return {"podTemplate": {"metadata": given}}


#: What was tried -> the spec, and words of the API server's answer.
REFUSED_AT_ONCE: dict[str, tuple[Manifest, str]] = {
    # --- another namespace
    "results to a claim of another namespace": (output(claim="other/runs"), "spec.output.volume.persistentVolumeClaim.claimName"),
    "a model from a claim of another namespace": (model("pvc://../other/runs"), "spec.model.source"),
    "data from a ConfigMap of another namespace": (
        {"dataset": {"sources": [{"uri": "configmap://kube-system/settings/key", "format": "text"}]}},
        "spec.dataset.sources[0].uri",
    ),
    "a token from a Secret of another namespace": (model(tokenSecretRef={"name": "kube-system/admin"}), "tokenSecretRef.name"),
    "pods that push out those of all namespaces": (pod(priorityClassName="system-node-critical"), "for the cluster's own pods"),
    # --- the folder of another job
    "results above the volume": (output("../victim"), "spec.output.path"),
    "results inside of another job's": (output("victim/checkpoints"), "spec.output.path"),
    "results through a link in an own folder": (output("mine/link"), "spec.output.path"),
    "results in the cache of all jobs": (output(CACHE_PATH), "spec.output.path"),
    "the whole volume to write": (pod({"name": "all"}, volumes=[ALL_RESULTS]), "Add readOnly: true"),
    "a folder of the volume to write": (pod({"name": "all", "subPath": "victim"}, volumes=[ALL_RESULTS]), "Add readOnly: true"),
    "our own volume by its name": (pod({"name": "finetune-claim-0"}), "names a volume that is not in podTemplate"),
    "a path above the volume": (pod({"name": "all", "subPath": "../../etc", "readOnly": True}, volumes=[ALL_RESULTS]), "subPath"),
    "another folder in place of the own": (
        pod({"name": "all", "mountPath": "/output", "subPath": "victim", "readOnly": True}, volumes=[ALL_RESULTS]),
        "the operator mounts /output",
    ),
    "pods that pass for another job's": (metadata(labels={"finetune.dev/job-uid": "victim"}), "belong to the operator"),
    # --- a path of the host
    "a host path": (pod({"name": "host"}, volumes=[{"name": "host", "hostPath": {"path": "/"}}]), "a volume is exactly one kind"),
    "a driver that mounts host paths": (
        pod({"name": "host"}, volumes=[{"name": "host", "csi": {"driver": "host"}}]),
        "a volume is exactly one kind",
    ),
    # --- the token of a service account
    "a projected token": (
        pod({"name": "t"}, volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
        "a volume is exactly one kind",
    ),
    # --- a privileged pod
    "root": (pod(securityContext={"runAsUser": 0}), "securityContext.runAsUser"),
    "the group of root": (pod(securityContext={"supplementalGroups": [0]}), "supplementalGroups"),
    "a second container": (pod(containers=[{"name": "other"}]), "containers[0].name"),
    "no AppArmor": (
        metadata(annotations={"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}),
        "an annotation chooses an AppArmor or seccomp profile",
    ),
}


@pytest.mark.parametrize("tried", REFUSED_AT_ONCE)
def test_refused_at_once(create: Create, tried: str):
    spec, says = REFUSED_AT_ONCE[tried]
    with pytest.raises(ApiError) as refused:
        create(**spec)
    assert refused.value.status == 422 and says in str(refused.value)


def anti_affinity(**term: Any) -> Manifest:
    """A job that keeps others away from its nodes."""
    terms = [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {}, **term}]
    return pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})


#: What was tried -> the spec, and the operator's reason.
REFUSED_BY_THE_OPERATOR: dict[str, tuple[Manifest, str]] = {
    "nodes without pods of another namespace": (anti_affinity(namespaces=["other"]), "InvalidSpec"),
    "nodes without pods of any namespace": (anti_affinity(namespaceSelector={}), "InvalidSpec"),
    "the folder of a job that waits": (output("waiting"), "OutputInUse"),
    "the folder of a job that has finished": (output("finished"), "OutputInUse"),
    "a service account's token as a volume": (
        pod({"name": "t"}, volumes=[{"name": "t", "secret": {"secretName": "robot"}}]),
        "ServiceAccountToken",
    ),
    "a service account's token as a variable": (
        {"trainer": {"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "robot"}}}]}},
        "ServiceAccountToken",
    ),
    "a service account's token as the hub's": (model(tokenSecretRef={"name": "robot"}), "ServiceAccountToken"),
}


@pytest.mark.parametrize("tried", REFUSED_BY_THE_OPERATOR)
def test_refused_by_the_operator(create: Create, submit: Submit, api: Api, namespace: str, kubelet: Kubelet, tried: str):
    spec, reason = REFUSED_BY_THE_OPERATOR[tried]
    if reason == "OutputInUse":
        victim = submit(spec["output"]["path"], nodes=1)
        (trainer,) = kubelet.wait_for_pods(1)
        if victim.name == "finished":
            kubelet.succeed(trainer)
            victim.wait("Succeeded")
    api.create(token_of_a_service_account(namespace))
    job = create(**spec)
    eventually(lambda: job.condition("Accepted"))
    assert (job.condition("Accepted")["status"], job.condition("Accepted")["reason"]) == ("False", reason), job.status()
    assert job.attempts() == []


def token_of_a_service_account(namespace: str) -> Manifest:
    """A Secret such as Kubernetes made for each service account until 1.24."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "robot", "namespace": namespace, "annotations": {"kubernetes.io/service-account.name": MALLORY}},
    }


#: What was tried -> the spec. These are no fields here, so the API server drops them.
DROPPED: dict[str, Manifest] = {
    "the namespace of a claim": {
        "output": {"volume": {"persistentVolumeClaim": {"claimName": CLAIM, "namespace": "other"}}, "namespace": "other"}
    },
    "a path from a variable": pod({"name": "x", "subPathExpr": "$(NAME)/.."}, volumes=[{"name": "x", "emptyDir": {}}]),
    "a host path beside another volume": pod(
        {"name": "host"}, volumes=[{"name": "host", "emptyDir": {}, "hostPath": {"path": "/"}}]
    ),
    "a service account": pod(serviceAccountName="robot", serviceAccount="robot", automountServiceAccountToken=True),
    "the host's network and processes": pod(hostNetwork=True, hostPID=True, hostIPC=True, hostUsers=True, nodeName="node-0"),
    "privileges": pod(
        securityContext={"runAsNonRoot": False, "seccompProfile": {"type": "Unconfined"}, "sysctls": [{"name": "a", "value": "b"}]},
        containers=[
            {
                "securityContext": {"privileged": True, "capabilities": {"add": ["SYS_ADMIN"]}, "procMount": "Unmasked"},
                "ports": [{"containerPort": 1, "hostPort": 1}],
                "volumeDevices": [{"name": "all", "devicePath": "/dev/sda"}],
            }
        ],
    ),
    "containers before ours": pod(
        initContainers=[{"name": "x", "image": "x", "securityContext": {"privileged": True}}],
        ephemeralContainers=[{"name": "y", "image": "y"}],
    ),
}


@pytest.mark.parametrize("tried", DROPPED)
def test_dropped(create: Create, api: Api, namespace: str, tried: str):
    create(**DROPPED[tried])
    (made,) = eventually(lambda: api.list("Job", namespace))
    assert reach(made["spec"]["template"]["spec"]) == []


def test_what_a_pod_says_is_no_command_for_the_terminal_of_whoever_reads_it(submit: Submit, kubelet: Kubelet):
    """For the one who looks at the jobs of others."""
    job = submit(nodes=1, run_policy={"maxRestarts": 0})
    (trainer,) = kubelet.wait_for_pods(1)
    kubelet.fail(kubelet.run(trainer), 64, message(ExitCode.USER_ERROR, "\x1b[2J", "\x1b]0;title\x07 is\nread"))
    failure = job.wait("Failed")["lastFailure"]
    assert (failure["reason"], failure["message"]) == ("\\x1b[2J", "\\x1b]0;title\\x07 is\nread")
    assert "\x1b" not in str(job.read()) + "".join(event["message"] for event in job.api.list("Event", job.namespace))


def reach(pod: Manifest) -> list[str]:
    """What a pod has that it should not have."""
    (container,) = pod["containers"]
    found = restricted_violations(pod)
    found += [field for field in ("initContainers", "ephemeralContainers", "nodeName", "hostUsers") if field in pod]
    found += [field for field in ("serviceAccountName", "serviceAccount") if field in pod]
    if pod.get("automountServiceAccountToken") is not False:
        found.append("automountServiceAccountToken")
    if container.get("volumeDevices"):
        found.append("volumeDevices")
    kinds = {volume["name"]: set(volume) - {"name"} for volume in pod["volumes"]}
    found += [name for name, kind in kinds.items() if not kind < {"persistentVolumeClaim", "configMap", "emptyDir", "secret"}]
    for mount in container["volumeMounts"]:
        own = mount.get("subPath") in ("escape", CACHE_PATH)
        if "subPathExpr" in mount or (kinds[mount["name"]] == {"persistentVolumeClaim"} and not mount.get("readOnly") and not own):
            found.append(f"{mount['mountPath']} can be written")
    return found
