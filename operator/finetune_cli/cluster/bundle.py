"""What a maintainer needs to understand a job, as one archive: objects, Events, logs, versions. No secret is in it.

Secrets are never read, the kubeconfig is not copied, and everything goes through `redact`.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from finetune_api.names import LABEL_JOB
from finetune_api.yaml_reader import YamlError, read_documents
from finetune_api.yaml_writer import to_yaml
from finetune_cli.cluster import redact
from finetune_cli.cluster.children import Family, read_family
from finetune_cli.cluster.client import Client, Manifest
from finetune_cli.cluster.errors import ClusterError
from finetune_cli.cluster.explain import explain

#: The end of each log; what leads to a failure is there. All logs together are no larger than the second number.
_LOG_BYTES, _ALL_LOGS_BYTES = 4 << 20, 64 << 20
#: 200 bytes are a long line; the server counts from the end in lines only.
_BYTES_OF_LINE = 200
_OPERATOR = "app.kubernetes.io/name=finetune-operator"


def collect(client: Client, name: str, now: float, command: str, say: Callable[[str], None]) -> dict[str, str]:
    """File name -> text. What cannot be read is told of in `missing.txt`.

    Raises:
        ClusterError: there is no such job, or nobody answers.
    """
    family = read_family(client, name)
    missing = list(family.lacking)
    files = {
        "describe.txt": "\n".join(explain(family.facts, family.events, now=now, command=command)) + "\n",
        "versions.json": json.dumps(_versions(client, missing), indent=2),
        "job.yaml": _yaml(family.job),
    }
    for kind, objects in (("jobs", family.jobs), ("pods", family.pods)):
        files |= {f"{kind}/{one['metadata']['name']}.yaml": _yaml(one) for one in objects}
    files["events.yaml"] = _list(_own_events(family))
    for resource in ("services", "configmaps", "persistentvolumeclaims"):
        labels = "" if resource == "persistentvolumeclaims" else f"{LABEL_JOB}={name}"
        for one in _try(lambda resource=resource, labels=labels: client.find(resource, labels=labels), missing):  # type: ignore[misc]
            files[f"{resource}/{one['metadata']['name']}.yaml"] = _yaml(_readable(one))
    say(f"logs of {len(family.pods)} pods")
    for pod in family.pods:
        files[f"logs/{pod['metadata']['name']}.log"] = _log(client, pod, missing, len(family.pods))
    files |= dict(_operator(client, missing))
    files["missing.txt"] = "\n".join(missing) + "\n" if missing else "Nothing: all that was asked for could be read.\n"
    return {path: redact.text(text) for path, text in files.items()}


def write(files: dict[str, str], path: Path, folder: str, now: float) -> None:
    """A tar.gz that only its owner may read, with all files in `folder`. Complete or not there."""
    aside = path.with_name(f".{path.name}.part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, text in sorted(files.items()):
            data = text.encode()
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size, info.mtime = len(data), int(now)
            archive.addfile(info, io.BytesIO(data))
    aside.replace(path)


def _own_events(family: Family) -> list[Manifest]:
    """Events about the job, its Jobs and its pods."""
    own = {one["metadata"]["uid"] for one in (family.job, *family.jobs, *family.pods)}
    return [event for event in family.events if event.get("involvedObject", {}).get("uid") in own]


def _versions(client: Client, missing: list[str]) -> dict[str, str]:
    versions = {
        "finetune-operator": importlib.metadata.version("finetune-operator"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    try:
        versions["kubernetes"] = client.version()
    except ClusterError as error:
        missing.append(str(error))
    return versions


def _operator(client: Client, missing: list[str]) -> Iterator[tuple[str, str]]:
    """Deployment, pods and logs of the operator, where the user may see them."""
    for one in _try(lambda: client.find("deployments", labels=_OPERATOR, everywhere=True), missing):
        yield f"operator/{one['metadata']['namespace']}.{one['metadata']['name']}.yaml", _yaml(one)
    for pod in _try(lambda: client.find("pods", labels=_OPERATOR, everywhere=True), missing):
        place = f"operator/{pod['metadata']['namespace']}.{pod['metadata']['name']}"
        yield f"{place}.yaml", _yaml(pod)
        yield f"{place}.log", _log(client, pod, missing)


def _try(read: Callable[[], list[Manifest]], missing: list[str]) -> list[Manifest]:
    try:
        return read()
    except ClusterError as error:
        missing.append(str(error))
        return []


def _log(client: Client, pod: Manifest, missing: list[str], pods: int = 1) -> str:
    size = min(_LOG_BYTES, _ALL_LOGS_BYTES // pods)
    query = {"tailLines": str(size // _BYTES_OF_LINE), "limitBytes": str(size), "timestamps": "true"}
    metadata = pod["metadata"]
    try:
        return b"".join(client.log(metadata["name"], namespace=metadata["namespace"], **query)).decode(errors="replace")
    except ClusterError as error:
        missing.append(f"log of pod {metadata['name']}: {error}")
        return ""


def _readable(one: Manifest) -> Manifest:
    """A ConfigMap of a job holds YAML as text: opened, so that the values in it are found."""
    data = one.get("data")
    if not isinstance(data, dict):
        return one
    return {**one, "data": {key: _opened(value) for key, value in data.items()}}


def _opened(value: str) -> object:
    try:
        return [document.data for document in read_documents(value)]
    except YamlError:
        return value


def _yaml(one: Manifest) -> str:
    return to_yaml(redact.manifest(one))


def _list(objects: list[Manifest]) -> str:
    return "---\n".join(_yaml(one) for one in objects)
