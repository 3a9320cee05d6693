"""What the core works on: a job as it was read, what was observed of its children, and the plan that follows.

All frozen. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from finetune_api.contract import Progress, TerminationMessage
from finetune_api.pod_trouble import Trouble
from finetune_api.spec import FineTuneJob, FineTuneJobSpec
from finetune_api.status import FineTuneJobStatus

Manifest = dict[str, Any]


class JobKey(NamedTuple):
    """Which FineTuneJob."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Config:
    """What the platform engineer decided for all jobs.

    Attributes:
        trainer_image: image of jobs without spec.trainer.image.
        image_pull_policy: of the trainer's container.
        progress_seconds: least time between two status writes of a job that only bring new progress.
    """

    trainer_image: str
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    progress_seconds: float = 30.0


@dataclass(frozen=True)
class Job:
    """A FineTuneJob as read from the API server.

    Attributes:
        problems: what is wrong with the spec; the schema refuses nearly all of that earlier. `job` is None when it cannot be read.
        deleting: it has a deletionTimestamp.
    """

    key: JobKey
    uid: str
    generation: int
    resource_version: str
    created_at: float
    job: FineTuneJob | None
    status: FineTuneJobStatus
    problems: tuple[str, ...] = ()
    deleting: bool = False

    @property
    def spec(self) -> FineTuneJobSpec:
        """What to do. A job with problems has none, and nothing is made for it."""
        if self.job is None:
            raise ValueError(f"{self.key.namespace}/{self.key.name} could not be read: {' '.join(self.problems)}")
        return self.job.spec


@dataclass(frozen=True)
class Exit:
    """How the container of a pod ended.

    Attributes:
        reason: the kubelet's: Completed, Error, OOMKilled, ...
        message: what our launcher had to say.
        log_tail: of another trainer, the end of its log.
    """

    code: int
    reason: str = ""
    message: TerminationMessage | None = None
    finished_at: float = 0.0
    log_tail: str = ""


@dataclass(frozen=True)
class Pod:
    """One pod of an attempt.

    Attributes:
        rank: node rank (completion index).
        disrupted: Kubernetes took it away (eviction, preemption, lost node), it did not fail by itself.
        waiting_since: since when it is scheduled without its container having started; None otherwise.
        present: False: it was seen in the watch and is gone.
    """

    name: str
    uid: str
    rank: int
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]
    created_at: float
    node: str | None = None
    ip: str | None = None
    ready: bool = False
    terminating: bool = False
    disrupted: bool = False
    exit: Exit | None = None
    trouble: Trouble | None = None
    waiting_since: float | None = None
    present: bool = True

    @property
    def over(self) -> bool:
        """Whether none of its processes runs any more."""
        return not self.present or self.phase in ("Succeeded", "Failed")


#: Why the operator stopped an attempt; obsolete: the job is over, or there is a newer attempt.
StopReason = Literal["suspend", "deadline", "obsolete"]


@dataclass(frozen=True)
class Attempt:
    """One attempt: an Indexed Job and its pods.

    Attributes:
        state: complete and failed are final; Kubernetes says so only when no pod of it runs any more.
        suspended: spec.suspend of the Job.
        stopped: the operator suspended it, and why; such an attempt is never continued.
        started_at: when the Job controller began with it; None while it is held back.
        ended_at: when it became complete or failed, or when the Job controller took note that it is suspended.
        restarts, preemptions, ran_seconds: of the job before this attempt.
        nudges: how often the Job controller was nudged (policies/nudge.py).
    """

    number: int
    name: str
    uid: str
    created_at: float
    state: Literal["active", "complete", "failed"] = "active"
    suspended: bool = False
    stopped: StopReason | None = None
    started_at: float | None = None
    ended_at: float | None = None
    restarts: int = 0
    preemptions: int = 0
    ran_seconds: float = 0.0
    nudges: int = 0
    deleting: bool = False
    pods: tuple[Pod, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim."""

    access_modes: tuple[str, ...]


@dataclass(frozen=True)
class References:
    """What was found of the objects that a job names, and who else uses its output folder.

    Attributes:
        secrets: name -> type; neither keys nor values are read.
        config_maps: name -> keys.
        claims: name -> claim.
        output_users: names of other jobs that have the same output folder.
        nodes: allocatable resources of each node, or None when they may not be read.
    """

    secrets: Mapping[str, str] = field(default_factory=dict)
    config_maps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    output_users: tuple[str, ...] = ()
    nodes: tuple[Mapping[str, str], ...] | None = None


@dataclass(frozen=True)
class Observed:
    """What is known of a job's surroundings.

    Attributes:
        attempts: by number, ascending.
        strays: pods with this job's name that belong to no attempt of it: an earlier job of that name, or a Job that is gone.
        progress: what node 0 of the newest attempt answered last.
        progress_written_at: when a status with progress was last written.
        references: None until they were looked up.
        fresh: children were read from the API server for this decision, not taken from the cache: first the Jobs, then the pods, so
            that no pod is missed of a Job that has said it makes no more.
    """

    attempts: tuple[Attempt, ...] = ()
    strays: tuple[Pod, ...] = ()
    progress: Progress | None = None
    progress_written_at: float = 0.0
    references: References | None = None
    fresh: bool = False


# --- the plan --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Create:
    """POST each; one that exists already and belongs to this job is left as it is. They go out at once."""

    manifests: tuple[Manifest, ...]


@dataclass(frozen=True)
class Stop:
    """Suspend an attempt's Job for good: its pods get SIGTERM, save and leave."""

    name: str
    uid: str
    reason: StopReason


@dataclass(frozen=True)
class Nudge:
    """Change an attempt's Job in a way that means nothing, so that the Job controller looks at it without its usual delay."""

    name: str
    uid: str
    count: int


@dataclass(frozen=True)
class DeleteAttempt:
    """Delete an attempt's Job and its pods."""

    name: str
    uid: str


@dataclass(frozen=True)
class DeleteSelf:
    """Delete the FineTuneJob; its children go with it, the results stay."""

    uid: str


Action = Create | Stop | Nudge | DeleteAttempt | DeleteSelf


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event about the job."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


#: What the plan needs to know before it can go on: children read from the API server, or the objects that the job names.
Need = Literal["fresh", "references"]


@dataclass(frozen=True)
class Plan:
    """What to do now.

    Attributes:
        needs: look these up and plan again; everything else is then empty.
        status: the status as it should read; written when it differs, guarded by the job's resourceVersion.
        write_after: 0: write the status now; otherwise only progress differs, and it may be written in this many seconds.
        events: after the status was written.
        requeue_after: look again in so many seconds, even if nothing happens; None: only when something does.
        poll: address (ip) of node 0, whose progress may be asked for.
    """

    needs: frozenset[Need] = frozenset()
    actions: tuple[Action, ...] = ()
    status: FineTuneJobStatus = field(default_factory=FineTuneJobStatus)
    write_after: float = 0.0
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    poll: str | None = None
