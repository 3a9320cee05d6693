"""Volumes of a pod and where they are mounted.

A claim is one volume, however often it is mounted: a pod that names a claim in two volumes may never start
(kubernetes/kubernetes#132921).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from finetune_api.contract import CACHE_DIR, JOB_FILE, MOUNT_ROOT, OUTPUT_DIR
from finetune_api.names import config_map_name
from finetune_api.pod_rules import OWNED_VOLUMES
from finetune_api.spec import FineTuneJobSpec
from finetune_operator.core.model import Manifest
from finetune_operator.core.sources import sources

#: Folder in the output volume that all its jobs share; output.path cannot begin with a dot.
CACHE_PATH = ".finetune-cache"
#: The one folder of a node's own that can be written: HOME as well.
SCRATCH_DIR = "/tmp"  # noqa: S108

_JOB, _SCRATCH, _SHARED_MEMORY = (f"{OWNED_VOLUMES}{name}" for name in ("job", "tmp", "shm"))


def volumes(job: str, spec: FineTuneJobSpec) -> list[Manifest]:
    """The pod's volumes, without those of the podTemplate."""
    given = _given_claims(spec)
    claims = {claim: name for claim, name in _claim_volumes(spec).items() if claim not in given}
    return [
        {"name": _JOB, "configMap": {"name": config_map_name(job)}},
        {"name": _SCRATCH, "emptyDir": {}},
        {"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": spec.resources.shared_memory}},
        *({"name": name, "persistentVolumeClaim": {"claimName": claim}} for claim, name in claims.items()),
        *({"name": name, "configMap": {"name": config_map}} for config_map, name in _config_map_volumes(spec).items()),
    ]


def volume_mounts(job: str, spec: FineTuneJobSpec) -> list[Manifest]:
    """Where the container that trains sees them."""
    return [
        {"name": _JOB, "mountPath": str(PurePosixPath(JOB_FILE).parent), "readOnly": True},
        {"name": _SCRATCH, "mountPath": SCRATCH_DIR},
        {"name": _SHARED_MEMORY, "mountPath": "/dev/shm"},  # noqa: S108
        *_output_mounts(job, spec),
        *(
            {"name": name, "mountPath": f"{MOUNT_ROOT}/pvc/{claim}", "readOnly": True}
            for claim, name in _claim_volumes(spec).items()
            if claim in _sources(spec, "pvc")
        ),
        *(
            {"name": name, "mountPath": f"{MOUNT_ROOT}/configmap/{config_map}", "readOnly": True}
            for config_map, name in _config_map_volumes(spec).items()
        ),
    ]


def _output_mounts(job: str, spec: FineTuneJobSpec) -> Iterator[Manifest]:
    if spec.output.volume is None:
        return
    name = _claim_volumes(spec)[spec.output.volume.persistent_volume_claim.claim_name]
    yield {"name": name, "mountPath": OUTPUT_DIR, "subPath": spec.output.path or job}
    yield {"name": name, "mountPath": CACHE_DIR, "subPath": CACHE_PATH}


def _claim_volumes(spec: FineTuneJobSpec) -> dict[str, str]:
    """Claim of the output, the model or the data -> volume; one that is in the podTemplate too has the name from there."""
    output = [spec.output.volume.persistent_volume_claim.claim_name] if spec.output.volume is not None else []
    claims, given = dict.fromkeys([*output, *_sources(spec, "pvc")]), _given_claims(spec)
    return {claim: given.get(claim, f"{OWNED_VOLUMES}claim-{number}") for number, claim in enumerate(claims)}


def _given_claims(spec: FineTuneJobSpec) -> dict[str, str]:
    """Claim -> volume of the podTemplate."""
    return {
        volume.persistent_volume_claim.claim_name: volume.name
        for volume in spec.pod_template.spec.volumes
        if volume.persistent_volume_claim is not None
    }


def _config_map_volumes(spec: FineTuneJobSpec) -> dict[str, str]:
    """ConfigMap with data -> volume."""
    return {name: f"{OWNED_VOLUMES}data-{number}" for number, name in enumerate(_sources(spec, "configmap"))}


def _sources(spec: FineTuneJobSpec, scheme: Literal["pvc", "configmap"]) -> list[str]:
    """Claims or ConfigMaps that model and data come from, each once."""
    return list(dict.fromkeys(source.name for source in sources(spec, scheme)))
