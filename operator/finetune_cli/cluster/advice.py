"""Likely cause and next steps by reason: a new one is a new row.

A line of a step that begins with `$ ` is a command, and is shown as such. Texts may use {job}, {namespace}, {logs} (the command
that shows the log in question), {machine} (the node of the pod), {pod}, {finetune} (how this command is called) and {again} (how a
corrected job is started).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """What most likely is behind a reason, and what to do, in this order. No cause: the job's own message says it."""

    cause: str
    steps: tuple[str, ...]


#: How a corrected job is started.
AGAIN = (
    "Start it again with the change:\n$ kubectl delete ftj {job} -n {namespace}\n$ {finetune} submit JOB.YAML\nIt goes on from its "
    "checkpoints; where they do not fit the change it says so, and needs another output.path."
)
_LOOK = "Read the log:\n$ {logs}"
_NOTHING = "Nothing: it goes on from its last checkpoint by itself, and this does not count against runPolicy.maxRestarts."

ADVICE: Mapping[str, Advice] = {
    "OutOfMemory": Advice(
        "The processes of a node used more memory than resources.limits.memory allows, and were killed for it.",
        (
            "Raise resources.limits.memory (resources.sharedMemory counts towards it), or lower "
            "training.perDeviceTrainBatchSize or dataset.maxLength.",
            "{again}",
        ),
    ),
    "GpuOutOfMemory": Advice(
        "The model with its activations does not fit into the GPU's memory.",
        (
            "In this order: training.gradientCheckpointing: true; a smaller training.perDeviceTrainBatchSize with more "
            "gradientAccumulationSteps (the global batch stays the same); a shorter dataset.maxLength; training.method: lora.",
            "{again}",
        ),
    ),
    "Killed": Advice(
        "Something outside of the training sent SIGKILL: most often the kernel, because the node ran out of memory, or the pod "
        "reached resources.limits.memory (Kubernetes does not always notice that); or somebody who ended the process.",
        (
            "Raise resources.limits.memory, if it is set (resources.sharedMemory counts towards it).",
            "See whether the node was short of memory:\n$ kubectl describe node {machine}",
            "If it was, raise resources.requests.memory, so that the pod gets a node with room.",
            _LOOK,
        ),
    ),
    "UserError": Advice(
        "",
        (
            "Correct what the message names. Another try would give the same, so none was made.",
            "Look at it here first, and at its data:\n$ {finetune} validate JOB.YAML\n$ {finetune} inspect JOB.YAML",
            "{again}",
        ),
    ),
    "NonFiniteLoss": Advice(
        "The loss became NaN or infinite: the learning rate is too high, or fp16 overflowed (a model that was trained in bf16).",
        (
            "Use training.precision: bf16 or fp32, a lower training.learningRate, or more warmupRatio.",
            "Look for samples that are broken:\n$ {finetune} inspect JOB.YAML",
            "{again}",
        ),
    ),
    "Stalled": Advice(
        "A rank hangs, and the others wait for it: a collective whose peer is gone, a device, a file system or a download that "
        "does not answer.",
        (
            "The stack of every rank is at the end of the log; look for the one that is somewhere else:\n$ {logs}",
            "If it was only slow (a long evaluation, a slow volume), raise runPolicy.stallTimeoutSeconds.",
            "If it is always the same node, keep the job away from {machine} (podTemplate.spec.affinity).",
        ),
    ),
    "PeerLost": Advice(
        "A rank on another node ended or could not be reached; this one only noticed.",
        ("Look for the first failure in the logs of the other nodes:\n$ {finetune} logs {job} -n {namespace}",),
    ),
    "RendezvousTimeout": Advice(
        "Not all nodes came together in time: a pod did not start, or a NetworkPolicy keeps pods of the namespace from each other.",
        (
            "See whether all pods ran:\n$ kubectl get pods -n {namespace} -l finetune.dev/job={job}",
            "Give them longer with distributed.rendezvousTimeoutSeconds if they only started late.",
        ),
    ),
    "NodeLost": Advice(
        "Node {machine} does not answer any more: it crashed, was switched off, or lost its network.",
        (
            _NOTHING,
            "See what became of it:\n$ kubectl get node {machine}",
            "If the pod stays Terminating it holds the next attempt back. Only once the machine is certainly off:\n"
            "$ kubectl delete pod {pod} -n {namespace} --force",
        ),
    ),
    "Preempted": Advice(
        "The scheduler took its place for a pod of higher priority.",
        (_NOTHING, "If it happens too often, give the job a higher podTemplate.spec.priorityClassName."),
    ),
    "Evicted": Advice(
        "Kubernetes moved it away: a node was drained, or was short of memory or disk.",
        (_NOTHING, "If the node was short of something, ask for it in resources.requests:\n$ kubectl describe node {machine}"),
    ),
    "Disrupted": Advice("A node was drained or lost, or somebody deleted the pods.", (_NOTHING,)),
    "JobDeleted": Advice("Somebody deleted the Job of an attempt.", (_NOTHING,)),
    "ImagePullFailed": Advice(
        "The name or tag of the image is mistyped, or the registry wants a login.",
        (
            "Check the image's name letter by letter: spec.trainer.image, or the operator's own if the job names none.",
            "For a private registry, name its Secret in podTemplate.spec.imagePullSecrets.",
            "The image is fixed once the job exists.",
            "{again}",
        ),
    ),
    "PodUnschedulable": Advice(
        "No node has room for it, or none that nodeSelector, affinity and tolerations leave over.",
        (
            "Compare resources with what the nodes have left:\n$ kubectl describe nodes",
            "If they are only busy, wait: it starts as soon as there is room.",
            "If no node is large enough, ask for less, or for fewer processes on more nodes.",
            "{again}",
        ),
    ),
    "NoNodeFits": Advice(
        "No node of the cluster could hold a pod of this job, even if it were empty.",
        (
            "Ask for less in resources, or add a node.",
            "{again}",
        ),
    ),
    "VolumeNotMounted": Advice(
        "A claim, Secret or ConfigMap that the pod mounts is not there, or its storage does not answer.",
        (
            "See whether the claims are bound:\n$ kubectl get pvc -n {namespace}",
            "See what the kubelet says:\n$ kubectl describe pod {pod} -n {namespace}",
        ),
    ),
    "ContainerConfigInvalid": Advice(
        "A Secret or ConfigMap that the container's environment names is not there, or has no such key.",
        ("Create it; the pod then starts by itself.",),
    ),
    "ContainerNotCreated": Advice(
        "The command of the container is not in its image, or a volume is mounted over what it needs.",
        (
            "Check trainer.command, trainer.image and podTemplate's mounts.",
            "{again}",
        ),
    ),
    "PodsStarting": Advice(
        "", ("See why a pod is missing or waits:\n$ kubectl describe pods -n {namespace} -l finetune.dev/job={job}",)
    ),
    "Queued": Advice("", ("Ask the queue, for example Kueue:\n$ kubectl get workloads -n {namespace}",)),
    "PodsLeft": Advice(
        "Pods of an earlier job of this name still run; two may never write the same folder.",
        ("Wait, or see why they do not leave:\n$ kubectl get pods -n {namespace} -l finetune.dev/job={job}",),
    ),
    "DeadlineExceeded": Advice(
        "The job was given less time than it needs (runPolicy.activeDeadlineSeconds).",
        (
            "Raise it.",
            "{again}",
        ),
    ),
    "DiskFull": Advice(
        "The output volume is full. Checkpoints that were complete are still there.",
        ("Free space or enlarge the claim, and lower training.saveTotalLimit.", "{again}"),
    ),
    "Fenced": Advice(
        "Another job writes the same output folder, or a newer attempt does.",
        (
            "Give each job an output.path of its own.",
            "{again}",
        ),
    ),
    "SecretNotFound": Advice("", ("Create it; the job then starts by itself within seconds.",)),
    "ConfigMapNotFound": Advice("", ("Create it; the job then starts by itself within seconds.",)),
    "ClaimNotFound": Advice("", ("Create the claim; the job then starts by itself within seconds.",)),
    "ClaimNotShareable": Advice(
        "",
        (
            "Use a claim that several nodes may mount, or distributed.nodes: 1.",
            "{again}",
        ),
    ),
    "OutputInUse": Advice("", ("Delete the other job; its results stay, and this one then starts by itself.",)),
    "ServiceAccountToken": Advice("", ("Name another Secret.", "{again}")),
    "InvalidSpec": Advice(
        "",
        (
            "Correct it:\n$ {finetune} validate JOB.YAML --cluster",
            "{again}",
        ),
    ),
    "OperatorSilent": Advice(
        "The operator does not run, or does not serve this namespace.",
        (
            "See whether it runs:\n$ kubectl get deployments --all-namespaces -l app.kubernetes.io/name=finetune-operator",
            "The job is stored: it starts by itself as soon as an operator sees it.",
        ),
    ),
    "Suspended": Advice("", ("Continue it:\n$ {finetune} resume {job} -n {namespace}",)),
}

#: For a reason that has no row.
UNKNOWN = Advice(
    "", (_LOOK, "If that does not help, send the maintainers a bundle:\n$ {finetune} debug bundle {job} -n {namespace}")
)
#: Nothing is wrong.
WATCH = Advice("", ("Watch it:\n$ {finetune} status {job} -n {namespace}",))
SUCCEEDED = Advice(
    "", ("Fetch the result:\n$ {finetune} pull {job} -n {namespace}", "Talk to it:\n$ {finetune} chat {job} -n {namespace}")
)


def advice_for(reason: str, message: str, exit_code: int | None) -> Advice:
    """The row for a failure.

    Args:
        reason: CamelCase, of status.lastFailure or a condition.
        message: tells GPU memory from a machine's.
        exit_code: of the container; 64 is the user's error, whatever the reason.
    """
    if reason == "OutOfMemory" and ("GPU" in message or "CUDA" in message):
        return ADVICE["GpuOutOfMemory"]
    if reason in ADVICE:
        return ADVICE[reason]
    return ADVICE["UserError"] if exit_code == 64 else UNKNOWN
