"""A cluster in memory: API server, Job controller, garbage collector, kubelets and people, each of which may act at any moment.

What is modelled is what decides whether two attempts can meet: the Job controller may create pods from a Job that it read before it
was suspended; a pod that is deleted stays until its process has left; processes start and end before the API server says so.
Force deletion is left out: Kubernetes itself gives no guarantee there, the fence in the output folder does.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from core.builders import START
from finetune_api.contract import ExitCode, TerminationMessage
from finetune_api.names import ANNOTATION_STOPPED, COMPLETION_INDEX, LABEL_ATTEMPT
from finetune_api.times import rfc3339
from finetune_operator.core.model import Manifest

Kind = Literal["FineTuneJob", "Service", "ConfigMap", "Job", "Pod"]
_FINAL = ("Complete", "Failed")


@dataclass
class Process:
    """The trainer in a pod."""

    attempt: str
    rank: int
    state: Literal["waiting", "running", "ended"] = "waiting"
    code: int = 0
    says: str | None = None


class Cluster:
    """Objects with every version they ever had, and the processes behind the pods."""

    def __init__(self, finetunejob: Manifest) -> None:
        self.now = START
        self.objects: dict[tuple[Kind, str], Manifest] = {}
        #: What a watch delivers: (uid, object), None once it is gone.
        self.log: dict[Kind, list[tuple[str, Manifest | None]]] = defaultdict(list)
        self.processes: dict[str, Process] = {}
        self._version = 1
        self._seen_by_controller: dict[str, Manifest] = {}
        #: uids of Jobs of which somebody took a pod away.
        self._robbed: set[str] = set()
        self.put("FineTuneJob", finetunejob)

    # --- API server

    def put(self, kind: Kind, raw: Manifest) -> Manifest:
        self._version += 1
        raw["metadata"]["resourceVersion"] = str(self._version)
        raw["metadata"].setdefault("uid", f"uid-{self._version}")
        raw["metadata"].setdefault("creationTimestamp", rfc3339(self.now))
        self.objects[kind, raw["metadata"]["name"]] = raw
        self.log[kind].append((raw["metadata"]["uid"], raw))
        return raw

    def drop(self, kind: Kind, name: str) -> None:
        raw = self.objects.pop((kind, name))
        self.log[kind].append((raw["metadata"]["uid"], None))

    def all(self, kind: Kind) -> list[Manifest]:
        return [raw for (found, _), raw in self.objects.items() if found == kind]

    def get(self, kind: Kind, name: str) -> Manifest:
        """A copy to change and put back."""
        return copy.deepcopy(self.objects[kind, name])

    @property
    def finetunejob(self) -> Manifest:
        (raw,) = self.all("FineTuneJob")
        return raw

    def pods_of(self, job: Manifest) -> list[Manifest]:
        return [pod for pod in self.all("Pod") if _owner(pod) == job["metadata"]["uid"]]

    def running(self) -> list[tuple[str, int]]:
        """Attempt and rank of each process that runs."""
        return [(process.attempt, process.rank) for process in self.processes.values() if process.state == "running"]

    # --- Job controller

    def sync(self, name: str, stale: bool = False) -> None:
        """One look of the Job controller at a Job; stale: at the spec that it saw last, so that its status writes are refused."""
        job = self.get("Job", name)
        if not stale:
            self._seen_by_controller[name] = job
        seen = self._seen_by_controller.get(name)
        if seen is None or _true(job) & set(_FINAL):
            return
        pods = self.pods_of(job)
        active = [pod for pod in pods if pod["status"]["phase"] not in ("Succeeded", "Failed")]
        failed = "FailureTarget" in _true(job) or job["metadata"]["uid"] in self._robbed
        failed |= any(pod["status"]["phase"] == "Failed" and "deletionTimestamp" not in pod["metadata"] for pod in pods)
        if stale:
            if not seen["spec"].get("suspend") and not failed:
                self._create_pods(job, pods)
            return
        suspended = job["spec"].get("suspend", False)
        if failed:
            self._delete_pods(active)
            self._set(job, "FailureTarget" if active else "Failed")
        elif {_rank(pod) for pod in pods if pod["status"]["phase"] == "Succeeded"} == set(range(job["spec"]["completions"])):
            self._set(job, "Complete")
        elif suspended:
            self._delete_pods(active)
            self._set(job, "Suspended")
        else:
            if "Suspended" in _true(job) or "startTime" not in job["status"]:
                job["status"] = {"conditions": [], "startTime": rfc3339(self.now)}
                self.put("Job", job)
            self._create_pods(job, pods)

    def _set(self, job: Manifest, condition: str) -> None:
        if condition not in _true(job):
            conditions = job["status"].setdefault("conditions", [])
            conditions.append({"type": condition, "status": "True", "lastTransitionTime": rfc3339(self.now)})
            self.put("Job", job)

    def _create_pods(self, job: Manifest, pods: list[Manifest]) -> None:
        """Also beside pods that are still leaving, as Kubernetes does."""
        there = {_rank(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"] or pod["status"]["phase"] == "Succeeded"}
        for rank in set(range(job["spec"]["completions"])) - there:
            name = f"{job['metadata']['name']}-{rank}-{self._version:05d}"
            metadata = {
                "name": name,
                "namespace": job["metadata"]["namespace"],
                "labels": dict(job["spec"]["template"]["metadata"]["labels"]),
                "annotations": {COMPLETION_INDEX: str(rank)},
                "ownerReferences": [
                    {"kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"], "controller": True}
                ],
            }
            pod = self.put("Pod", {"metadata": metadata, "spec": {"nodeName": f"worker-{rank}"}, "status": {"phase": "Pending"}})
            self.processes[pod["metadata"]["uid"]] = Process(job["metadata"]["name"], rank)

    def _delete_pods(self, pods: list[Manifest]) -> None:
        for pod in pods:
            self._mark_deleted(pod["metadata"]["name"])

    def _mark_deleted(self, name: str, *conditions: Manifest) -> None:
        pod = self.get("Pod", name)
        pod["metadata"].setdefault("deletionTimestamp", rfc3339(self.now))
        pod["status"].setdefault("conditions", []).extend(conditions)
        self.put("Pod", pod)

    # --- garbage collector

    def collect_garbage(self) -> None:
        owners = {job["metadata"]["uid"] for job in self.all("Job")}
        for pod in self.all("Pod"):
            if (owner := _owner(pod)) and owner not in owners and "deletionTimestamp" not in pod["metadata"]:
                self._mark_deleted(pod["metadata"]["name"])

    # --- kubelets

    def start(self, name: str) -> None:
        """The process starts, unless what the pod mounts and what its peers look it up by is missing."""
        process = self._process(name)
        if process.state == "waiting" and self.all("ConfigMap") and self.all("Service"):
            process.state = "running"

    def end(self, name: str, code: int, says: str | None = None) -> None:
        """The process ends; says: reason in its termination message."""
        process = self._process(name)
        if process.state == "running":
            process.state, process.code, process.says = "ended", code, says

    def report(self, name: str) -> None:
        """The kubelet tells the API server, and takes a deleted pod away that has ended."""
        process, pod = self._process(name), self.get("Pod", name)
        deleted = "deletionTimestamp" in pod["metadata"]
        if process.state == "ended" and pod["status"]["phase"] in ("Pending", "Running"):
            pod["status"] |= _ended(process, self.now)
            self.put("Pod", pod)
        elif process.state == "running" and pod["status"]["phase"] == "Pending":
            pod["status"]["phase"] = "Running"
            self.put("Pod", pod)
        elif deleted and process.state != "running":
            process.state = "ended"
            self.drop("Pod", name)

    def _process(self, pod: str) -> Process:
        return self.processes[self.objects["Pod", pod]["metadata"]["uid"]]

    # --- everybody

    def sync_all(self) -> None:
        for _, job in list(attempts(self)):
            self.sync(job["metadata"]["name"])

    def go_on(self) -> None:
        """A second in which all of Kubernetes does what it should: pods start, and those that were told to leave save and do."""
        self.now += 1
        self.collect_garbage()
        self.sync_all()
        for pod in self.all("Pod"):
            name = pod["metadata"]["name"]
            if "deletionTimestamp" in pod["metadata"]:
                self.end(name, ExitCode.PREEMPTED, "Stopped")
            else:
                self.start(name)
            self.report(name)

    def finish(self) -> None:
        """All nodes that run have done their work."""
        for pod in self.all("Pod"):
            if pod["status"]["phase"] == "Running":
                self.end(pod["metadata"]["name"], ExitCode.OK, "Completed")

    # --- people, queues, nodes

    def change_policy(self, **policy: Any) -> None:
        """Somebody edits spec.runPolicy."""
        raw = copy.deepcopy(self.finetunejob)
        raw["spec"]["runPolicy"] |= policy
        raw["metadata"]["generation"] += 1
        self.put("FineTuneJob", raw)

    def delete_job(self, name: str, orphan: bool = False) -> None:
        """`kubectl delete job`, with --cascade=orphan: its pods go on without it."""
        for pod in self.pods_of(self.objects["Job", name]) if orphan else ():
            changed = self.get("Pod", pod["metadata"]["name"])
            del changed["metadata"]["ownerReferences"]
            self.put("Pod", changed)
        self.drop("Job", name)

    def take_away(self, name: str, disruption: str | None) -> None:
        """`kubectl delete pod`, or with `disruption` the reason of an eviction."""
        pod = self.objects["Pod", name]
        owner = next((job for job in self.all("Job") if job["metadata"]["uid"] == _owner(pod)), None)
        if owner is not None and not owner["spec"].get("suspend"):
            self._robbed.add(owner["metadata"]["uid"])
        condition = {"type": "DisruptionTarget", "status": "True", "reason": disruption, "lastTransitionTime": rfc3339(self.now)}
        self._mark_deleted(name, *([condition] if disruption else []))

    def queue_sets_suspend(self, name: str, suspend: bool) -> None:
        """A queue holds an attempt back, or lets it go; what the operator stopped it leaves alone."""
        job = self.get("Job", name)
        if ANNOTATION_STOPPED not in job["metadata"]["annotations"]:
            job["spec"]["suspend"] = suspend
            self.put("Job", job)


def _ended(process: Process, now: float) -> dict[str, Any]:
    message = (
        None if process.says is None else TerminationMessage(exit_code=process.code, reason=process.says, message=process.says)
    )
    terminated = {
        "exitCode": process.code,
        "finishedAt": rfc3339(now),
        "message": message.model_dump_json(by_alias=True) if message else "",
    }
    return {
        "phase": "Failed" if process.code else "Succeeded",
        "containerStatuses": [{"name": "trainer", "state": {"terminated": terminated}}],
    }


def _true(job: Manifest) -> set[str]:
    return {condition["type"] for condition in job.setdefault("status", {}).get("conditions", ())}


def _owner(pod: Manifest) -> str:
    return next((str(owner["uid"]) for owner in pod["metadata"].get("ownerReferences", ())), "")


def _rank(pod: Manifest) -> int:
    return int(pod["metadata"]["annotations"][COMPLETION_INDEX])


def attempts(cluster: Cluster) -> Iterator[tuple[int, Manifest]]:
    """Number and Job of the attempts that there are."""
    for job in cluster.all("Job"):
        yield int(job["metadata"]["labels"][LABEL_ATTEMPT]), job
