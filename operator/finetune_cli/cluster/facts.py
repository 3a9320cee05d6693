"""From a job and its children, as the API server has them, to a few facts about each attempt. Nothing here judges anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from finetune_api.contract import TerminationMessage
from finetune_api.names import (
    ANNOTATION_PREEMPTIONS,
    ANNOTATION_RESTARTS,
    ANNOTATION_STOPPED,
    COMPLETION_INDEX,
    LABEL_ATTEMPT,
    LABEL_JOB_UID,
)
from finetune_api.pod_template import CONTAINER
from finetune_api.pod_trouble import Trouble, trouble
from finetune_api.status import FineTuneJobStatus
from finetune_api.times import unix

Manifest = dict[str, Any]


@dataclass(frozen=True)
class PodFacts:
    """One pod.

    Attributes:
        node_rank: number of the node that it is, from 0.
        exit_code, exit_reason, finished_at: of its container, once that has ended; the reason is the kubelet's.
        said: what our launcher left as its last words; tail: the end of another trainer's log.
        trouble: why it does not start, or why Kubernetes took it away.
    """

    name: str
    attempt: int
    node_rank: int
    phase: str
    machine: str | None = None
    exit_code: int | None = None
    exit_reason: str = ""
    finished_at: float | None = None
    said: TerminationMessage | None = None
    tail: str = ""
    trouble: Trouble | None = None
    leaving: bool = False


@dataclass(frozen=True)
class AttemptFacts:
    """One attempt, an Indexed Job.

    Attributes:
        state: running, complete, failed, or stopped (by the operator; `stopped` says why).
        restarts, preemptions: of the job before it.
    """

    number: int
    name: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    state: str
    stopped: str | None
    restarts: int
    preemptions: int
    pods: tuple[PodFacts, ...] = ()


@dataclass(frozen=True)
class JobFacts:
    """A job and what is left of its attempts, by number.

    Attributes:
        created_at: Unix seconds.
        max_restarts, suspend, nodes: of its spec.
        seen: the operator has written a status.
    """

    name: str
    namespace: str
    created_at: float
    generation: int
    status: FineTuneJobStatus
    seen: bool
    nodes: int
    max_restarts: int
    suspend: bool
    attempts: tuple[AttemptFacts, ...] = ()


def job_facts(
    job: Manifest, jobs: Iterable[Manifest] = (), pods: Iterable[Manifest] = (), events: Iterable[Manifest] = ()
) -> JobFacts:
    """The facts.

    Args:
        job: the FineTuneJob.
        jobs, pods: those with the job's label, also of an earlier job of that name.
        events: of the namespace; those of other objects are passed over.
    """
    metadata, spec = job["metadata"], job.get("spec", {})
    policy = spec.get("runPolicy", {})
    mounts = _mount_messages(events)
    own = [_pod(pod, mounts) for pod in pods if _is_own(pod, metadata["uid"])]
    attempts = [_attempt(one, own) for one in jobs if _is_own(one, metadata["uid"])]
    return JobFacts(
        name=metadata["name"],
        namespace=metadata["namespace"],
        created_at=unix(metadata["creationTimestamp"]),
        generation=metadata.get("generation", 0),
        status=status_of(job),
        seen=bool(job.get("status", {}).get("phase")),
        nodes=spec.get("distributed", {}).get("nodes", 1),
        max_restarts=policy.get("maxRestarts", 3),
        suspend=policy.get("suspend", False),
        attempts=tuple(sorted(attempts, key=lambda attempt: attempt.number)),
    )


def status_of(job: Manifest) -> FineTuneJobStatus:
    """The status of a FineTuneJob; an empty one before the operator has seen it, or where a newer operator wrote odd things."""
    try:
        return FineTuneJobStatus.model_validate(job.get("status") or {})
    except ValidationError:
        known = {name: value for name, value in job["status"].items() if name in ("phase", "message")}
        return FineTuneJobStatus.model_validate(known)


def _is_own(child: Manifest, uid: str) -> bool:
    labels = child["metadata"].get("labels", {})
    return labels.get(LABEL_JOB_UID) == uid and str(labels.get(LABEL_ATTEMPT, "")).isdecimal()


def _attempt(job: Manifest, pods: Iterable[PodFacts]) -> AttemptFacts:
    metadata, status = job["metadata"], job.get("status", {})
    annotations = metadata.get("annotations", {})
    true = {one["type"]: one for one in status.get("conditions", ()) if one["status"] == "True"}
    number, stopped = int(metadata["labels"][LABEL_ATTEMPT]), annotations.get(ANNOTATION_STOPPED)
    end = true.get("Complete") or true.get("Failed") or (true.get("Suspended") if stopped else None) or {}
    state = "complete" if "Complete" in true else "stopped" if stopped else "failed" if "Failed" in true else "running"
    return AttemptFacts(
        number=number,
        name=metadata["name"],
        created_at=unix(metadata["creationTimestamp"]),
        started_at=_time(status.get("startTime")),
        ended_at=_time(end.get("lastTransitionTime")),
        state=state,
        stopped=stopped,
        restarts=int(annotations.get(ANNOTATION_RESTARTS, 0)),
        preemptions=int(annotations.get(ANNOTATION_PREEMPTIONS, 0)),
        pods=tuple(sorted((pod for pod in pods if pod.attempt == number), key=lambda pod: (pod.node_rank, pod.name))),
    )


def _pod(pod: Manifest, mount_messages: Mapping[str, str]) -> PodFacts:
    metadata, status = pod["metadata"], pod.get("status", {})
    containers = status.get("containerStatuses", ())
    ended = next((one.get("state", {}).get("terminated") for one in containers if one["name"] == CONTAINER), None) or {}
    text = ended.get("message", "")
    said = TerminationMessage.read(text)
    return PodFacts(
        name=metadata["name"],
        attempt=int(metadata["labels"][LABEL_ATTEMPT]),
        node_rank=int(metadata.get("annotations", {}).get(COMPLETION_INDEX, 0)),
        phase=status.get("phase", "Pending"),
        machine=pod.get("spec", {}).get("nodeName"),
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason", ""),
        finished_at=_time(ended.get("finishedAt")),
        said=said,
        tail="" if said else text.strip(),
        trouble=trouble(pod, mount_messages.get(metadata["uid"], "")),
        leaving="deletionTimestamp" in metadata,
    )


def _mount_messages(events: Iterable[Manifest]) -> dict[str, str]:
    """uid of a pod -> the latest word about a volume of it that does not mount."""
    found = [event for event in events if event.get("reason") in ("FailedMount", "FailedAttachVolume")]
    found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return {event["involvedObject"].get("uid", ""): event.get("message", "") for event in found}


def _time(text: str | None) -> float | None:
    return unix(text) if text else None
