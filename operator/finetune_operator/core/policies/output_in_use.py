"""Two jobs never share an output folder: who came first has it as long as it exists, also when it has finished."""

from __future__ import annotations

from collections.abc import Iterable

from finetune_api.spec import FineTuneJobSpec
from finetune_operator.core.model import Job


def output_folder(name: str, spec: FineTuneJobSpec) -> tuple[str, str] | None:
    """Claim and folder in it where the results of the job called `name` go; None without an output volume."""
    if spec.output.volume is None:
        return None
    return spec.output.volume.persistent_volume_claim.claim_name, spec.output.path or name


def output_users(job: Job, others: Iterable[Job]) -> tuple[str, ...]:
    """Names of the jobs of the namespace that keep `job` out of its output folder.

    Those that were accepted, and those that wait as well but are older: of two that wait for each other both would wait for ever.
    """
    if job.job is None or (folder := output_folder(job.key.name, job.job.spec)) is None:
        return ()
    return tuple(sorted(other.key.name for other in others if other.uid != job.uid and _keeps_out(other, job, folder)))


def _keeps_out(other: Job, job: Job, folder: tuple[str, str]) -> bool:
    if other.key.namespace != job.key.namespace or other.job is None or output_folder(other.key.name, other.job.spec) != folder:
        return False
    accepted = any(condition.type == "Accepted" and condition.status == "True" for condition in other.status.conditions)
    return accepted or (other.created_at, other.uid) < (job.created_at, job.uid)
