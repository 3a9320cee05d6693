"""Which other objects a job names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_api.spec import FineTuneJobSpec
from finetune_operator.core.model import Job
from finetune_operator.core.sources import sources


@dataclass(frozen=True)
class NeededReferences:
    """Names of the objects, each once and sorted.

    Attributes:
        nodes: whether what the nodes of the cluster have is of interest.
    """

    secrets: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    nodes: bool = False


def needed(job: Job) -> NeededReferences:
    """What has to be looked up before the job is accepted; nothing for one that cannot be read."""
    if job.job is None:
        return NeededReferences()
    spec = job.job.spec
    pod = spec.pod_template.spec
    secrets = [
        *([spec.model.token_secret_ref.name] if spec.model is not None and spec.model.token_secret_ref is not None else []),
        *(variable.value_from.secret_key_ref.name for variable in spec.trainer.env if variable.value_from is not None),
        *(secret.name for secret in pod.image_pull_secrets),
        *(volume.secret.secret_name for volume in pod.volumes if volume.secret is not None),
    ]
    config_maps = [
        *(source.name for source in sources(spec, "configmap")),
        *(volume.config_map.name for volume in pod.volumes if volume.config_map is not None),
    ]
    return NeededReferences(_names(secrets), _names(config_maps), _names(claims(spec)), nodes=bool(requests(spec)))


def claims(spec: FineTuneJobSpec) -> list[str]:
    """Claims that the pods mount: for the output, the model, the data, and of the podTemplate."""
    return [
        *([spec.output.volume.persistent_volume_claim.claim_name] if spec.output.volume is not None else []),
        *(source.name for source in sources(spec, "pvc")),
        *(
            volume.persistent_volume_claim.claim_name
            for volume in spec.pod_template.spec.volumes
            if volume.persistent_volume_claim is not None
        ),
    ]


def requests(spec: FineTuneJobSpec) -> dict[str, str | int]:
    """What the scheduler sets aside for each pod, by resource: the requests, and the limits where there is no request."""
    return dict(spec.resources.limits) | dict(spec.resources.requests)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
