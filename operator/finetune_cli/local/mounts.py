"""What stands for a cluster's volumes in a local run: `--mount CLAIM=DIR` and `--mount configmap/NAME=DIR`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from finetune_api.contract import MOUNT_ROOT
from finetune_api.problems import nearest
from finetune_api.spec import FineTuneJob
from finetune_api.strategies import configuration_uris
from finetune_trainer.errors import UserError


def parse_mounts(options: Sequence[str]) -> dict[str, str]:
    """`KEY=DIR` options as a map from key to absolute folder.

    Raises:
        UserError: BadMount, an option without a key or a folder.
    """
    mounts: dict[str, str] = {}
    for option in options:
        key, equals, folder = option.partition("=")
        if not (key and equals and folder):
            raise UserError("BadMount", f"--mount {option} names no folder.", "Write CLAIM=DIR or configmap/NAME=DIR.")
        mounts[key] = str(Path(folder).expanduser().absolute())
    return mounts


def uris(job: FineTuneJob) -> Iterator[tuple[str, str]]:
    """Each URI of the job with its path in the YAML."""
    yield "spec.model.source", job.model.source
    yield from ((f"spec.distributed.{name}.configMapRef", uri) for name, uri in configuration_uris(job.spec.distributed))
    for name, sources in (("sources", job.dataset.sources), ("evalSources", job.dataset.eval_sources)):
        for index, source in enumerate(sources):
            yield f"spec.dataset.{name}[{index}].uri", source.uri


def needed_mounts(job: FineTuneJob) -> dict[str, list[str]]:
    """Mount key -> the places of the YAML that need it."""
    needed: dict[str, list[str]] = {}
    for place, uri in uris(job):
        scheme, _, rest = uri.partition("://")
        name = rest.partition("/")[0]
        key = {"pvc": name, "configmap": f"configmap/{name}"}.get(scheme)
        if key:
            needed.setdefault(key, []).append(place)
    return needed


def mount_problems(job: FineTuneJob, mounts: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with the mounts, a line each: missing ones, folders that are not there, keys that nothing uses."""
    needed = needed_mounts(job)
    problems = [f"--mount {key}={folder}: there is no such folder." for key, folder in mounts.items() if not Path(folder).is_dir()]
    for key, places in needed.items():
        if key not in mounts and not _in_a_pod(key).is_dir():
            problems.append(f"{' and '.join(places)}: say where this is on your machine: --mount {key}=DIR")
    for key in mounts.keys() - needed.keys():
        close = nearest(key, needed)
        problems.append(f"--mount {key}: nothing in the job uses it." + (f" Did you mean {close}?" if close else ""))
    return problems


def _in_a_pod(key: str) -> Path:
    return Path(MOUNT_ROOT) / (key if key.startswith("configmap/") else f"pvc/{key}")
