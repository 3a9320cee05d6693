"""From objects as the API server has them to what the policies work on. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from finetune_api.contract import TerminationMessage
from finetune_api.field_errors import data_path, field_problem
from finetune_api.names import (
    ANNOTATION_PREEMPTIONS,
    ANNOTATION_RAN_SECONDS,
    ANNOTATION_RESTARTS,
    ANNOTATION_STOPPED,
    COMPLETION_INDEX,
    LABEL_ATTEMPT,
    LABEL_JOB_UID,
    NUDGE_TTL_SECONDS,
    attempt_name,
)
from finetune_api.pod_template import CONTAINER
from finetune_api.pod_trouble import trouble
from finetune_api.rule_check import rule_problems
from finetune_api.spec import API_VERSION, KIND, FineTuneJob
from finetune_api.status import FineTuneJobStatus
from finetune_api.times import unix
from finetune_operator.core.model import Attempt, Exit, Job, JobKey, Manifest, Pod, StopReason


def job(raw: Manifest, known: Job | None = None) -> Job:
    """A FineTuneJob. Never fails: a spec with mistakes gives problems, a status that cannot be read counts as none.

    Args:
        known: the same job as it was read before. Reading a spec is the dearest part, and it seldom changes.
    """
    metadata = raw["metadata"]
    if known is not None and (known.uid, known.generation) == (metadata["uid"], metadata.get("generation", 0)):
        read, problems = known.job, known.problems
    else:
        read, problems = _spec(raw)
    return Job(
        key=JobKey(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        resource_version=metadata.get("resourceVersion", ""),
        created_at=unix(metadata["creationTimestamp"]),
        job=read,
        status=_status(raw.get("status")),
        problems=problems,
        deleting="deletionTimestamp" in metadata,
    )


def attempts(
    job: Job,
    jobs: Iterable[Manifest],
    pods: Iterable[Manifest],
    gone: Iterable[Manifest] = (),
    mount_events: Mapping[str, str] = {},
) -> tuple[tuple[Attempt, ...], tuple[Pod, ...]]:
    """The job's attempts by number with their pods by rank, and the stray pods.

    Args:
        jobs, pods: all in the namespace with the job's label, also those of an earlier FineTuneJob of that name.
        gone: pods that have vanished, as they were seen last.
        mount_events: uid of a pod -> message of its latest Event FailedMount or FailedAttachVolume.
    """
    own = {raw["metadata"]["uid"]: raw for raw in jobs if _is_attempt(raw, job)}
    last_seen = {raw["metadata"]["uid"]: (raw, False) for raw in gone} | {raw["metadata"]["uid"]: (raw, True) for raw in pods}
    pods_of: dict[str, list[Pod]] = {uid: [] for uid in own}
    strays = []
    for uid, (raw, present) in last_seen.items():
        pod = _pod(raw, present, mount_events.get(uid, ""))
        if (owner := _owner(raw)) in own:
            pods_of[owner].append(pod)
        elif present:
            strays.append(pod)
    found = [_attempt(raw, pods_of[uid]) for uid, raw in own.items()]
    return tuple(sorted(found, key=lambda attempt: attempt.number)), tuple(strays)


def _spec(raw: Manifest) -> tuple[FineTuneJob | None, tuple[str, ...]]:
    metadata = {name: raw["metadata"][name] for name in ("name", "namespace")}
    data = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": raw.get("spec", {})}
    try:
        read = FineTuneJob.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        found = [field_problem(detail, data_path(detail, data)) for detail in error.errors(include_url=False)]
        return None, tuple(str(problem) for problem in found)
    return read, tuple(str(problem) for problem in rule_problems(read, cluster=True))


def _status(raw: Any) -> FineTuneJobStatus:
    try:
        return FineTuneJobStatus.model_validate(raw or {})
    except ValidationError:
        return FineTuneJobStatus()


def _is_attempt(raw: Manifest, job: Job) -> bool:
    """Made by the operator for this very FineTuneJob; copies that people make have another name."""
    metadata = raw["metadata"]
    labels = metadata.get("labels", {})
    number = labels.get(LABEL_ATTEMPT, "")
    mine = labels.get(LABEL_JOB_UID) == job.uid and number.isdecimal()
    return bool(mine and metadata["name"] == attempt_name(job.key.name, int(number)))


def _attempt(raw: Manifest, pods: Iterable[Pod]) -> Attempt:
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    annotations = metadata.get("annotations", {})
    true = {condition["type"]: condition for condition in status.get("conditions", ()) if condition["status"] == "True"}
    end = true.get("Complete") or true.get("Failed") or true.get("Suspended") or {}
    suspended = bool(spec.get("suspend", False))
    stopped = _stop_reason(annotations.get(ANNOTATION_STOPPED))
    # Held back by a queue, its start time is that of an earlier admission.
    started = None if suspended and stopped is None else _time(status.get("startTime"))
    return Attempt(
        number=int(metadata["labels"][LABEL_ATTEMPT]),
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=unix(metadata["creationTimestamp"]),
        state="complete" if "Complete" in true else "failed" if "Failed" in true else "active",
        suspended=suspended,
        stopped=stopped,
        started_at=started,
        ended_at=_time(end.get("lastTransitionTime")),
        restarts=int(annotations.get(ANNOTATION_RESTARTS, 0)),
        preemptions=int(annotations.get(ANNOTATION_PREEMPTIONS, 0)),
        ran_seconds=float(annotations.get(ANNOTATION_RAN_SECONDS, 0.0)),
        nudges=max(0, spec.get("ttlSecondsAfterFinished", 0) - NUDGE_TTL_SECONDS),
        deleting="deletionTimestamp" in metadata,
        pods=tuple(sorted(pods, key=lambda pod: (pod.rank, pod.created_at, pod.name))),
    )


def _stop_reason(text: str | None) -> StopReason | None:
    """An annotation that was meddled with still says that the attempt was stopped."""
    if text is None:
        return None
    return next((reason for reason in get_args(StopReason) if reason == text), "suspend")


def _pod(raw: Manifest, present: bool, mount_message: str) -> Pod:
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    container: Manifest = next((one for one in status.get("containerStatuses", ()) if one["name"] == CONTAINER), {})
    phase = status.get("phase", "Pending")
    ended = _exit(container)
    scheduled = conditions.get("PodScheduled", {})
    waits = phase == "Pending" and scheduled.get("status") == "True"
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        rank=int(metadata.get("annotations", {}).get(COMPLETION_INDEX, 0)),
        phase=phase,
        created_at=unix(metadata["creationTimestamp"]),
        node=spec.get("nodeName"),
        ip=status.get("podIP"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in metadata,
        disrupted=_disrupted(conditions.get("DisruptionTarget", {}), ended),
        exit=ended,
        trouble=trouble(raw, mount_message),
        waiting_since=_time(scheduled.get("lastTransitionTime")) if waits else None,
        present=present,
    )


def _disrupted(condition: Manifest, ended: Exit | None) -> bool:
    """Kubernetes took it away, and not only what was left of it after its program had ended."""
    if condition.get("status") != "True":
        return False
    since = _time(condition.get("lastTransitionTime"))
    return ended is None or since is None or ended.finished_at >= since


def _exit(container: Manifest) -> Exit | None:
    ended = container.get("state", {}).get("terminated")
    if ended is None:
        return None
    text = ended.get("message", "")
    message = TerminationMessage.read(text)
    return Exit(
        code=ended["exitCode"],
        reason=ended.get("reason", ""),
        message=message,
        finished_at=_time(ended.get("finishedAt")) or 0.0,
        log_tail="" if message else text.strip(),
    )


def _owner(raw: Manifest) -> str:
    """uid of the controller that made it."""
    return next((str(owner["uid"]) for owner in raw["metadata"].get("ownerReferences", ()) if owner.get("controller")), "")


def _time(text: str | None) -> float | None:
    return unix(text) if text else None
