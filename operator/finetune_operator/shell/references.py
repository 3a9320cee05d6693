"""Looks up the objects that a job names, all at once, and nothing else.

Jobs that are submitted together mostly name the same claims and all ask for the nodes: what one has just read answers the others.

Of a Secret only what `kubectl get` prints is asked for, its type: neither keys nor values. A wrong key shows when the pod starts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from weakref import WeakValueDictionary

from finetune_operator.core import observe
from finetune_operator.core.model import Claim, Job, Manifest, References
from finetune_operator.core.policies.output_in_use import output_users
from finetune_operator.core.references import needed
from finetune_operator.shell.cache import Cache, uid_of
from finetune_operator.shell.kube import Kube, NotFound, Refused
from finetune_operator.shell.recent import Recent
from finetune_operator.shell.resources import CLAIMS, CONFIG_MAPS, NODES, SECRETS, Resource

_FORBIDDEN = 403
#: A claim that goes meanwhile shows in the pods' phase, like one that goes later.
_RECENT_SECONDS = 2.0

#: Namespace, claim and path.
Folder = tuple[str, str, str]


class ReferenceReader:
    """Reads what `core.references.needed` names from the API server, and other users of the output folder from the cache."""

    def __init__(self, kube: Kube, cache: Cache) -> None:
        self._kube, self._cache = kube, cache
        self._locks: WeakValueDictionary[Folder, asyncio.Lock] = WeakValueDictionary()
        self._recent = Recent(_RECENT_SECONDS)

    @contextlib.asynccontextmanager
    async def alone(self, manifest: Manifest) -> AsyncIterator[None]:
        """Held from the look-up until the decision is written: two jobs that want the same output folder are accepted one after
        the other, so that the second sees the first."""
        folder = folder_of(manifest)
        if folder is None:
            yield
            return
        lock = self._locks.setdefault(folder, asyncio.Lock())
        async with lock:
            yield

    async def look_up(self, job: Job) -> References:
        """What there is of the objects that `job` names.

        Raises:
            KubeError: something could not be read.
        """
        names, namespace = needed(job), job.key.namespace
        secrets, config_maps, claims, nodes = await asyncio.gather(
            asyncio.gather(*(self._secret_type(namespace, name) for name in names.secrets)),
            asyncio.gather(*(self._read(CONFIG_MAPS, namespace, name) for name in names.config_maps)),
            asyncio.gather(*(self._recent.read((namespace, name), partial(self._claim, namespace, name)) for name in names.claims)),
            self._recent.read(NODES, self._nodes) if names.nodes else _none(),
        )
        return References(
            secrets={name: kind for name, kind in zip(names.secrets, secrets, strict=True) if kind is not None},
            config_maps={
                name: frozenset((found.get("data") or {}).keys() | (found.get("binaryData") or {}).keys())
                for name, found in zip(names.config_maps, config_maps, strict=True)
                if found
            },
            claims={name: found for name, found in zip(names.claims, claims, strict=True) if found},
            output_users=self._output_users(job),
            nodes=nodes,
        )

    async def _read(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        try:
            return await self._kube.get(resource, namespace, name)
        except NotFound:
            return None

    async def _claim(self, namespace: str, name: str) -> Claim | None:
        found = await self._read(CLAIMS, namespace, name)
        return None if found is None else Claim(tuple(found["spec"].get("accessModes") or ()))

    async def _secret_type(self, namespace: str, name: str) -> str | None:
        """Its type, or None where there is none."""
        try:
            return str((await self._kube.printed(SECRETS, namespace, name))["Type"])
        except NotFound:
            return None
        except Refused as refused:
            if refused.code == _FORBIDDEN:
                return ""  # An administrator may withhold Secrets from the operator; a missing one shows when the pod starts.
            raise

    async def _nodes(self) -> tuple[dict[str, str], ...] | None:
        try:
            listed = await self._kube.list(NODES, None, cached=True)
        except Refused as refused:
            if refused.code == _FORBIDDEN:
                return None
            raise
        nodes = tuple((node.get("status") or {}).get("allocatable") or {} for node in listed.items)
        return nodes or None  # A cluster without any node yet says nothing about those to come.

    def _output_users(self, job: Job) -> tuple[str, ...]:
        """See core.policies.output_in_use; only jobs with the same folder are worth reading whole."""
        own, others = None, []
        for manifest in self._cache.finetune_jobs(job.key.namespace):
            if uid_of(manifest) == job.uid:
                own = folder_of(manifest)
            else:
                others.append(manifest)
        return output_users(job, [observe.job(other) for other in others if own is not None and folder_of(other) == own])


async def _none() -> None:
    return None


def folder_of(manifest: Manifest) -> Folder | None:
    """Namespace, claim and path of a job's results; None without a volume."""
    metadata, output = manifest["metadata"], manifest["spec"].get("output") or {}
    claim = ((output.get("volume") or {}).get("persistentVolumeClaim") or {}).get("claimName")
    return (metadata["namespace"], claim, output.get("path") or metadata["name"]) if claim else None
