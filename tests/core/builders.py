"""Jobs, attempts and pods for tests, in words: `attempt(1, failed(0, 64, says="BadDataRow"), running(1))`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from finetune_api.contract import Progress, TerminationMessage
from finetune_api.pod_trouble import Trouble
from finetune_api.spec import RunPolicy
from finetune_api.status import FineTuneJobStatus
from finetune_api.times import rfc3339
from finetune_operator.core import observe
from finetune_operator.core.model import (
    Attempt,
    Claim,
    Config,
    Create,
    Exit,
    Job,
    Manifest,
    Observed,
    Plan,
    Pod,
    References,
)
from finetune_operator.core.plan import plan

#: The moment at which all jobs of these tests were created.
START = 1_700_000_000.0
NAME = "qwen3-sft"
UID = "11111111-0000-0000-0000-000000000000"
_POLICY = {field.alias for field in RunPolicy.model_fields.values()}
CONFIG = Config(trainer_image="example.com/trainer:1", progress_seconds=30.0)
EVERYTHING = References(claims={"runs": Claim(("ReadWriteMany",))})


def raw_job(name: str = NAME, nodes: int = 2, uid: str = UID, **spec: Any) -> Manifest:
    """A FineTuneJob as the API server has it; run policy fields may be given by name, for example suspend=True."""
    policy = {
        key: spec.pop(key) for key in list(spec) if key not in ("model", "dataset", "output", "podTemplate", "trainer", "resources")
    }
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": uid,
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": rfc3339(START),
        },
        "spec": {
            "model": {"source": "hf://Qwen/Qwen3-8B"},
            "dataset": {"sources": [{"uri": "hf://tatsu-lab/alpaca", "format": "alpaca"}]},
            "distributed": {"nodes": nodes},
            "output": {"volume": {"persistentVolumeClaim": {"claimName": "runs"}}},
            "runPolicy": policy,
            **spec,
        },
    }


def job(status: FineTuneJobStatus | None = None, **spec: Any) -> Job:
    """The same, as it is read."""
    read = observe.job(raw_job(**spec))
    return read if status is None else replace(read, status=status)


def _pod(rank: int, attempt: int, **changes: Any) -> Pod:
    values = {
        "name": f"{NAME}-{attempt}-{rank}-abcde",
        "uid": f"pod-{attempt}-{rank}",
        "rank": rank,
        "created_at": START,
        "node": f"worker-{rank}",
    }
    return Pod(**{**values, **changes})


def pending(rank: int, attempt: int = 0, trouble: Trouble | None = None, **changes: Any) -> Pod:
    return _pod(rank, attempt, phase="Pending", trouble=trouble, **changes)


def running(rank: int, attempt: int = 0, **changes: Any) -> Pod:
    return _pod(rank, attempt, phase="Running", ready=True, ip=f"10.0.0.{rank}", **changes)


def succeeded(rank: int, attempt: int = 0, progress: Progress | None = None) -> Pod:
    message = TerminationMessage(exit_code=0, reason="Completed", message="", progress=progress)
    return _pod(rank, attempt, phase="Succeeded", exit=Exit(0, "Completed", message, START + 100))


def failed(
    rank: int,
    code: int,
    says: str | None = None,
    at: float = 100,
    attempt: int = 0,
    kubelet: str = "Error",
    log: str = "",
    **changes: Any,
) -> Pod:
    """A pod whose container left with `code`, `at` seconds after the start.

    Args:
        says: reason in its termination message; None: it left without a word.
    """
    message = (
        None
        if says is None
        else TerminationMessage(exit_code=code, reason=says, message=f"Rank {rank * 8}: {says}.", rank=rank * 8)
    )
    return _pod(rank, attempt, phase="Failed", **{"exit": Exit(code, kubelet, message, START + at, log), **changes})


def gone(pod: Pod) -> Pod:
    """It was seen in the watch and is no longer there."""
    return replace(pod, present=False)


def told_to_leave(pod: Pod) -> Pod:
    return replace(pod, terminating=True)


def disrupted(pod: Pod, reason: str = "Evicted") -> Pod:
    return replace(pod, terminating=True, disrupted=True, trouble=Trouble(reason, "It was evicted."))


def attempt(number: int = 0, *pods: Pod, **changes: Any) -> Attempt:
    """An attempt that started a second after its job was created."""
    values = {"name": f"{NAME}-{number}", "uid": f"job-{number}", "created_at": START, "started_at": START + 1}
    return Attempt(number, **{**values, **changes}, pods=pods)  # type: ignore[arg-type]


def over(number: int, *pods: Pod, after: float = 120.0, **changes: Any) -> Attempt:
    """A failed attempt that ended `after` seconds."""
    return attempt(number, *pods, **{"state": "failed", "ended_at": START + after, **changes})


def stopped(number: int, *pods: Pod, reason: str = "suspend", after: float = 120.0, **changes: Any) -> Attempt:
    """An attempt that the operator stopped, and of which the Job controller has taken note."""
    return attempt(number, *pods, **{"suspended": True, "stopped": reason, "ended_at": START + after, **changes})


def planned(job: Job, *attempts: Attempt, at: float = 200.0, **observed: Any) -> Plan:
    """The plan `at` seconds after the start, with a fresh read and everything there that the job names."""
    seen = Observed(attempts=attempts, **{"fresh": True, "references": EVERYTHING, **observed})
    return plan(job, seen, START + at, CONFIG)


def after(job: Job, *attempts: Attempt, at: float = 200.0, **observed: Any) -> Job:
    """The job once the status of such a plan was written."""
    return replace(job, status=planned(job, *attempts, at=at, **observed).status)


#: Both nodes of attempt 0.
RUNNING = (running(0), running(1))


def created(plan: Plan) -> dict[str, Any]:
    """The Job that a plan creates."""
    (action,) = plan.actions
    assert isinstance(action, Create)
    assert [manifest["kind"] for manifest in action.manifests] == ["Service", "ConfigMap", "Job"]
    manifest = action.manifests[-1]
    return {"name": manifest["metadata"]["name"], **manifest["metadata"]["annotations"]}


def condition(plan: Plan, name: str) -> tuple[str, str]:
    return next((one.status, one.reason) for one in plan.status.conditions if one.type == name)


def cached(job: Job, *attempts: Attempt, **observed: Any) -> Plan:
    """The plan of a reconcile that has looked nothing up yet."""
    return planned(job, *attempts, fresh=False, references=None, **observed)


def begun() -> Job:
    """A job whose attempt 0 was created and told of."""
    return after(job(), at=0)


def under_way() -> Job:
    """A job that runs."""
    return after(begun(), attempt(0, *RUNNING))
