"""Holds the Lease by which one replica works and the others stand by."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from finetune_operator.core import lease
from finetune_operator.core.model import Manifest
from finetune_operator.shell.kube import AioKube, KubeError, NotFound
from finetune_operator.shell.resources import LEASES

_log = logging.getLogger(__name__)


class LostLease(Exception):  # noqa: N818
    """This replica may not work any more, because it could not renew in time or another holds the Lease."""


class Leadership:
    """One replica's part in it.

    Args:
        kube: of its own, so that a renewal never waits for the work's requests.
        namespace, name: of the Lease.
        identity: no other replica's.
    """

    def __init__(self, kube: AioKube, namespace: str, name: str, identity: str) -> None:
        self._kube, self._namespace, self._name, self._identity = kube, namespace, name, identity
        self._lease: Manifest = {}
        self._seen_at = self._valid_until = 0.0

    def valid(self) -> bool:
        """Whether this replica may write now."""
        return _now() < self._valid_until

    async def acquire(self) -> None:
        """Stand by until the Lease is this replica's."""
        said = ""
        while not await self._try():
            holder = str((self._lease.get("spec") or {}).get("holderIdentity", ""))
            if holder != said:
                _log.info("Standing by: %s works", holder)
                said = holder
            await asyncio.sleep(lease.PERIOD_SECONDS)
        _log.info("%s holds the Lease %s/%s", self._identity, self._namespace, self._name)

    async def hold(self) -> None:
        """Renew until cancelled.

        Raises:
            LostLease: it is not this replica's any more.
        """
        while True:
            try:
                async with asyncio.timeout_at(self._valid_until):
                    await asyncio.sleep(lease.PERIOD_SECONDS)
                    while not await self._try():
                        if self._lease.get("spec", {}).get("holderIdentity") != self._identity:
                            self._valid_until = 0.0
                            raise LostLease(f"Another replica holds the Lease {self._namespace}/{self._name}.")
                        await asyncio.sleep(lease.PERIOD_SECONDS / 4)
            except TimeoutError:
                raise LostLease(f"The Lease {self._namespace}/{self._name} could not be renewed in time.") from None

    async def release(self) -> None:
        """Let another replica begin at once. Only when all work has ended; no harm if it fails."""
        if not self.valid():
            return
        self._valid_until = 0.0
        try:
            async with asyncio.timeout(lease.PERIOD_SECONDS):
                await self._write(lease.released(self._lease, _utc()))
        except (KubeError, TimeoutError) as error:
            _log.warning("The Lease could not be released: %s", error or "no answer")

    async def _try(self) -> bool:
        """Take or renew it. What was seen of it is in self._lease."""
        asked = _now()
        try:
            found = await self._read()
            if found["metadata"].get("resourceVersion") != self._lease.get("metadata", {}).get("resourceVersion"):
                self._lease, self._seen_at = found, _now()
            if not lease.may_take(found, self._identity, _now() - self._seen_at):
                return False
            # Guarded by the version that was looked at: of two that take it at once, the second is refused.
            await self._write(lease.held(found, self._identity, _utc()))
        except KubeError as error:
            _log.warning("The Lease: %s", error)
            return False
        self._valid_until = asked + lease.DEADLINE_SECONDS
        return True

    async def _read(self) -> Manifest:
        try:
            return await self._kube.get(LEASES, self._namespace, self._name)
        except NotFound:
            metadata = {"name": self._name, "namespace": self._namespace}
            return await self._kube.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata})

    async def _write(self, spec: Manifest) -> None:
        version = str(self._lease["metadata"]["resourceVersion"])
        self._lease = await self._kube.patch_version(LEASES, self._namespace, self._name, version, {"spec": spec})
        self._seen_at = _now()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _utc() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
