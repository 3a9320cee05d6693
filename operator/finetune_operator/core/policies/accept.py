"""May a job start? Everything it names must be there, and the output folder must be its own.

Keys of Secrets are not looked at: the operator may not read Secrets. The kubelet says so when one is missing
(finetune_api/pod_trouble.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from finetune_api.spec import FineTuneJobSpec
from finetune_operator.core.model import Job, References
from finetune_operator.core.policies.claims import claim_refusals
from finetune_operator.core.policies.output_in_use import output_folder
from finetune_operator.core.references import needed
from finetune_operator.core.refusal import Refusal
from finetune_operator.core.sources import sources

#: A refused job is looked at again after so long: what it lacked may have been created.
RETRY_SECONDS = 15.0
_SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105


def invalid(job: Job) -> Refusal | None:
    """The refusal of a spec that is wrong in itself."""
    return Refusal("InvalidSpec", f"{' '.join(job.problems)} Correct it and create the job again.") if job.problems else None


def refusal(job: Job, references: References) -> Refusal | None:
    """The first thing that the job lacks, or None."""
    return next(_refusals(job, references), None)


def _refusals(job: Job, references: References) -> Iterator[Refusal]:
    spec = job.spec
    yield from _secrets(job, references)
    yield from _config_maps(job, references)
    yield from claim_refusals(spec, references.claims)
    if references.output_users:
        yield Refusal("OutputInUse", _in_use(job, spec, references.output_users))


def _secrets(job: Job, references: References) -> Iterator[Refusal]:
    for name in needed(job).secrets:
        if name not in references.secrets:
            yield Refusal("SecretNotFound", _missing("Secret", name, f"kubectl create secret generic {name}"))
        elif references.secrets[name] == _SERVICE_ACCOUNT_TOKEN:
            text = f"Secret {name} holds the token of a service account: training pods have no access to the API server."
            yield Refusal("ServiceAccountToken", text)


def _config_maps(job: Job, references: References) -> Iterator[Refusal]:
    for name in needed(job).config_maps:
        if name not in references.config_maps:
            yield Refusal("ConfigMapNotFound", _missing("ConfigMap", name, f"kubectl create configmap {name}"))
    for source in sources(job.spec, "configmap"):
        if source.path not in references.config_maps.get(source.name, ()):
            keys = ", ".join(sorted(references.config_maps.get(source.name, ()))) or "none"
            text = f"ConfigMap {source.name} has no key {source.path}. Add it. Its keys are: {keys}."
            yield Refusal("ConfigMapNotFound", text)


def _missing(kind: str, name: str, command: str) -> str:
    return f"There is no {kind} {name} in this namespace. Create it: {command} ..."


def _in_use(job: Job, spec: FineTuneJobSpec, users: tuple[str, ...]) -> str:
    claim, folder = output_folder(job.key.name, spec) or ("", "")
    return (
        f"The output folder {folder} of claim {claim} belongs to {', '.join(users)}. Delete that (its results stay), or create "
        "this job with another output.path."
    )
