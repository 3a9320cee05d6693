"""The status of a FineTuneJob: written by the operator, read by people, scripts and `kubectl get`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from finetune_api.contract import Progress

Text = Annotated[str, StringConstraints(max_length=4096)]
Word = Annotated[str, StringConstraints(max_length=253)]
#: RFC 3339, UTC, as Kubernetes writes times.
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

JobPhase = Literal["Pending", "Running", "Restarting", "Suspending", "Suspended", "Succeeded", "Failed"]
ConditionType = Literal["Accepted", "Running", "Suspended", "Succeeded", "Failed"]


class _StatusPart(BaseModel):
    """A frozen group of fields. Unknown ones are passed over, so that an older reader understands a newer operator."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Condition(_StatusPart):
    """One fact about the job, by the Kubernetes API conventions."""

    type: ConditionType = Field(description="Which fact.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Word = Field(description="CamelCase word for programs.")
    message: Text = Field("", description="Sentence for people: what happened and what to do.")
    last_transition_time: Time = Field(description="When status changed last.")
    observed_generation: int | None = Field(None, ge=0, description="metadata.generation that this was concluded from.")


class Nodes(_StatusPart):
    """Pods of the current attempt."""

    desired: int = Field(0, ge=0, description="spec.distributed.nodes.")
    ready: int = Field(0, ge=0, description="Pods whose container runs.")


class Failure(_StatusPart):
    """Why the last attempt ended that did not succeed."""

    pod: Word | None = Field(None, description="Pod that failed first.")
    rank: int | None = Field(None, ge=0, description="Global rank that failed first.")
    node: Word | None = Field(None, description="Node of that pod.")
    exit_code: int | None = Field(None, description="Exit code of its container.")
    reason: Word = Field(description="CamelCase word: OutOfMemory, BadDataRow, Stalled, NodeLost, ...")
    message: Text = Field("", description="One paragraph: what happened, likely cause, what to do.")


class Summary(_StatusPart):
    """What `kubectl get` shows, in words; see progress and nodes for the numbers."""

    step: Word = Field("", description="Steps done of all, as in 120/500.")
    loss: Word = Field("", description="Training loss.")
    eta: Word = Field("", description="Time left, as in 1h05m.")
    nodes: Word = Field("", description="Ready nodes of all, as in 2/2.")


class FineTuneJobStatus(_StatusPart):
    """What the operator saw and did."""

    phase: JobPhase = Field("Pending", description="One word for where the job stands; never empty once the operator has seen it.")
    message: Text = Field("", description="The phase in a sentence: what is waited for, what went wrong, what to do.")
    observed_generation: int | None = Field(None, ge=0, description="metadata.generation that this status is about.")
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field([], description="Facts, one of each type.")
    attempt: int = Field(0, ge=0, description="Number of the current attempt, from 0.")
    restarts: int = Field(0, ge=0, description="Attempts that were charged to runPolicy.maxRestarts.")
    preemptions: int = Field(0, ge=0, description="Attempts that ended by preemption or disruption; not charged.")
    nodes: Nodes | None = Field(None, description="Pods of the current attempt.")
    progress: Progress | None = Field(None, description="Where training stands, as node 0 reports it.")
    summary: Summary | None = Field(None, description="Texts for kubectl get.")
    last_failure: Failure | None = Field(None, description="Why the last attempt ended that did not succeed.")
    start_time: Time | None = Field(None, description="When the first attempt was created.")
    completion_time: Time | None = Field(None, description="When the job succeeded or failed for good.")
    output: Word | None = Field(None, description="Where the results are, as in pvc://runs/qwen3-sft.")


def summary(progress: Progress, nodes: Nodes) -> Summary:
    """The texts for `kubectl get`; what is not known yet is empty."""
    step = "" if progress.step is None else f"{progress.step}/{'?' if progress.total_steps is None else progress.total_steps}"
    return Summary(
        step=step,
        loss="" if progress.loss is None else f"{progress.loss:.4g}",
        eta="" if progress.eta_seconds is None else duration(progress.eta_seconds),
        nodes=f"{nodes.ready}/{nodes.desired}",
    )


def duration(seconds: float) -> str:
    """Seconds in the two largest units: 42s, 3m05s, 1h05m, 2d03h."""
    whole = max(0, round(seconds))
    for unit, size, lower, lower_size in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // lower_size:02d}{lower}"
    return f"{whole}s"
