"""Names, labels and annotations by which a job and what the operator creates for it are found on a cluster."""

from __future__ import annotations

from finetune_api.spec import GROUP

#: In the paths of the API server.
PLURAL = "finetunejobs"
FIELD_MANAGER = "finetune-operator"

#: On Jobs and pods: name and uid of their FineTuneJob, number of the attempt.
LABEL_JOB = f"{GROUP}/job"
LABEL_JOB_UID = f"{GROUP}/job-uid"
LABEL_ATTEMPT = f"{GROUP}/attempt"
#: On pods, set by the Job controller (label and annotation have the same name): the node rank.
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

#: On an attempt's Job, written when it is created: what happened before it, so that nothing has to be remembered elsewhere.
ANNOTATION_RESTARTS = f"{GROUP}/restarts"
ANNOTATION_PREEMPTIONS = f"{GROUP}/preemptions"
ANNOTATION_RAN_SECONDS = f"{GROUP}/ran-seconds"
#: On an attempt's Job, written together with `suspend: true`: why the operator stopped it (model.StopReason). A suspended Job
#: without it is held back by somebody else, for example a queue.
ANNOTATION_STOPPED = f"{GROUP}/stopped"

#: A nudge of an attempt's Job (policies/nudge.py) sets ttlSecondsAfterFinished to this and the number of the nudge: some 63 years.
NUDGE_TTL_SECONDS = 2_000_000_000


def attempt_name(job: str, attempt: int) -> str:
    """Name of the attempt's Indexed Job; its pods are called `<this>-<node rank>-<random>`, with host name `<this>-<node rank>`."""
    return f"{job}-{attempt}"


def service_name(job: str) -> str:
    """Name of the headless Service (a Service's name must begin with a letter, a job's need not)."""
    return f"ftj-{job}"


def config_map_name(job: str) -> str:
    """Name of the ConfigMap with the resolved job."""
    return f"ftj-{job}"


def labels(job: str, uid: str, attempt: int | None = None) -> dict[str, str]:
    """Labels of what belongs to a job, or to one attempt of it."""
    common = {LABEL_JOB: job, LABEL_JOB_UID: uid, "app.kubernetes.io/managed-by": FIELD_MANAGER}
    return common if attempt is None else {**common, LABEL_ATTEMPT: str(attempt)}
