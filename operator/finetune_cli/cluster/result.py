"""What `finetune chat` and `finetune plot` need of a job on a cluster, fetched to where they look for a local run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from finetune_api.contract import LOG_FILE
from finetune_cli.cluster.client import Client, Manifest
from finetune_cli.cluster.errors import ClusterError
from finetune_cli.cluster.fetch import Choose, all_files, is_whole, mark_whole, pull_folder, result_files
from finetune_cli.cluster.options import called
from finetune_cli.cluster.reader_pod import Place, output_place

_ADAPTER = "adapter_model.safetensors"


def fetch_for_chat(client: Client, name: str, mounts: Mapping[str, str], cache: Path) -> tuple[Path, dict[str, str]]:
    """The result of a job in runs/NAME, and where its base model is if that lies on a claim. Nothing is fetched twice.

    Args:
        mounts: claim -> folder, of claims that are here already.
        cache: folder for base models.

    Raises:
        ClusterError: the job has no result.
    """
    job, dest = client.job(name), Path("runs") / name
    phase = job.get("status", {}).get("phase")
    if phase != "Succeeded":
        watch = f"{called()} status {name} -n {client.namespace}"
        raise ClusterError(f"FineTuneJob {name} is {phase or 'not started'}: there is no result to talk to. Watch it: {watch}")
    _pull(client, job, output_place(job), dest, result_files)
    base = _base_model(job)
    if base is None or base.claim in mounts or not (dest / _ADAPTER).is_file():
        return dest, dict(mounts)
    key = hashlib.sha256(f"{client.server} {client.namespace} {base.claim}".encode()).hexdigest()[:16]
    _pull(client, job, base, cache / "claims" / key / base.path, all_files)
    return dest, {**mounts, base.claim: str(cache / "claims" / key)}


def fetch_log(client: Client, name: str, folder: Path) -> Path:
    """The folder `folder`/NAME with the training log of a job in it."""
    job = client.job(name)
    pull_folder(client, job, output_place(job), folder / name, choose=lambda files: [one for one in files if one.path == LOG_FILE])
    return folder / name


def _pull(client: Client, job: Manifest, place: Place, dest: Path, choose: Choose) -> None:
    if not is_whole(dest, client, job, place):
        pull_folder(client, job, place, dest, choose=choose)
        mark_whole(dest, client, job, place)


def lacks_its_base(folder: Path, job: Manifest) -> bool:
    """Whether what was fetched is an adapter for a model on a claim, which `chat JOB` fetches as well and `chat FOLDER` cannot."""
    return _base_model(job) is not None and (folder / _ADAPTER).is_file()


def _base_model(job: Manifest) -> Place | None:
    """Where the model lies that the job started from, if that is a claim."""
    source = str(job.get("spec", {}).get("model", {}).get("source", ""))
    if not source.startswith("pvc://"):
        return None
    claim, _, path = source.removeprefix("pvc://").partition("/")
    return Place(claim, path)
