"""The API server, as far as the operator needs it: raw JSON objects in and out, each call one request.

Of the official client only its connections and its login are used. Its typed models cost a third more processor time and 30 MiB.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from finetune_api.names import FIELD_MANAGER
from finetune_operator.core.model import Manifest
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.resources import EVENTS, Resource, resource_of

_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
_REQUEST_SECONDS = 30.0
_PAGE = 500


class KubeError(Exception):
    """A request did not do what it was for; the text says which and why."""


class Unreachable(KubeError):  # noqa: N818
    """No answer, or one that says that the API server is not able to answer now."""


class Refused(KubeError):  # noqa: N818
    """The API server refused. `code` is the HTTP status, `reason` its CamelCase word."""

    def __init__(self, request: str, code: int, reason: str, message: str) -> None:
        super().__init__(f"{request}: {message or reason or code}")
        self.code, self.reason, self.message = code, reason, message


class NotFound(Refused):
    """There is no such object."""


class Conflict(Refused):
    """The object is another one by now: its uid or its resourceVersion is not the one expected."""


class Foreign(KubeError):  # noqa: N818
    """An object of that name exists and does not belong to the job."""


class Listed(NamedTuple):
    """Objects, and the resourceVersion that they were read at."""

    items: list[Manifest]
    version: int


class Kube(Protocol):
    """What the rest of the shell calls. Everything raises KubeError."""

    async def list(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = "", cached: bool = False
    ) -> Listed:
        """All objects that match; `cached`: a state that may be some seconds old is good enough, and faster."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """One object."""

    async def printed(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """What `kubectl get` prints of one object, by column (Name, Type, ...); nothing else of it is read."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Create, or return the object of that name if it has the same owner.

        Raises:
            Foreign: it has another owner, or is being deleted.
        """

    async def patch(self, resource: Resource, namespace: str, name: str, uid: str, patch: Manifest) -> Manifest:
        """Merge-patch; Conflict if the object has another uid."""

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete with everything it owns; Conflict if the object has another uid."""

    async def patch_status(self, resource: Resource, namespace: str, name: str, version: str, patch: Manifest) -> Manifest:
        """Merge-patch of the status; Conflict if the object's resourceVersion is not `version`."""

    async def post_event(self, event: Manifest) -> None:
        """Create a core/v1 Event."""


class AioKube:
    """`Kube` over the official client's connection handling.

    Args:
        may_write: asked before each write; one that is not allowed counts as not answered.
    """

    def __init__(self, configuration: Configuration, metrics: Metrics, may_write: Callable[[], bool] = lambda: True) -> None:
        self._may_write = may_write
        self._configuration, self._connections, self._metrics = configuration, RESTClientObject(configuration), metrics

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def list(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = "", cached: bool = False
    ) -> Listed:
        """See Kube."""
        query = {
            "labelSelector": labels,
            "fieldSelector": fields,
            **({"resourceVersion": "0"} if cached else {"limit": str(_PAGE)}),
        }
        items: list[Manifest] = []
        while True:
            page = await self._request("GET", resource, namespace, query=query)
            items += page.get("items") or []
            if not (proceed := page["metadata"].get("continue")):
                return Listed(items, version_of(page))
            query["continue"] = proceed

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """See Kube."""
        return await self._request("GET", resource, namespace, name)

    async def printed(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """See Kube."""
        # Not its metadata alone: an annotation of `kubectl apply` there holds all of the object, contents of a Secret included.
        table = await self._request("GET", resource, namespace, name, query={"includeObject": "None"}, accept=_TABLE)
        (row,) = table["rows"]
        return dict(zip((column["name"] for column in table["columnDefinitions"]), row["cells"], strict=True))

    async def create(self, manifest: Manifest) -> Manifest:
        """See Kube."""
        resource, namespace, name = resource_of(manifest), manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        try:
            return await self._request("POST", resource, namespace, body=manifest, query={"fieldManager": FIELD_MANAGER})
        except Conflict as conflict:
            if conflict.reason != "AlreadyExists":
                raise
        existing = await self.get(resource, namespace, name)
        what = f"{manifest['kind']} {namespace}/{name}"
        if existing["metadata"].get("deletionTimestamp"):
            raise Foreign(f"{what} is still being deleted.")
        if _owners(existing).isdisjoint(_owners(manifest)):
            raise Foreign(f"{what} exists already and does not belong to this job.")
        return existing

    async def patch(self, resource: Resource, namespace: str, name: str, uid: str, patch: Manifest) -> Manifest:
        """See Kube."""
        body = {**patch, "metadata": {**patch.get("metadata", {}), "uid": uid}}
        try:
            return await self._request("PATCH", resource, namespace, name, body=body, query={"fieldManager": FIELD_MANAGER})
        except Refused as refused:
            if "metadata.uid" in refused.message:  # Another uid is refused as a change of a fixed field, with 422.
                raise Conflict(
                    f"PATCH {resource.plural} {namespace}/{name}", refused.code, refused.reason, refused.message
                ) from refused
            raise

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """See Kube."""
        await self._request(
            "DELETE", resource, namespace, name, body={"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        )

    async def patch_status(self, resource: Resource, namespace: str, name: str, version: str, patch: Manifest) -> Manifest:
        """See Kube."""
        body = {**patch, "metadata": {"resourceVersion": version}}
        return await self._request("PATCH", resource, namespace, name, "status", body=body, query={"fieldManager": FIELD_MANAGER})

    async def patch_version(self, resource: Resource, namespace: str, name: str, version: str, patch: Manifest) -> Manifest:
        """Merge-patch; Conflict if the object's resourceVersion is not `version`."""
        body = {**patch, "metadata": {"resourceVersion": version}}
        return await self._request("PATCH", resource, namespace, name, body=body, query={"fieldManager": FIELD_MANAGER})

    async def post_event(self, event: Manifest) -> None:
        """See Kube."""
        await self._request("POST", EVENTS, event["metadata"]["namespace"], body=event)

    async def _request(
        self,
        verb: str,
        resource: Resource,
        namespace: str | None,
        name: str | None = None,
        subresource: str | None = None,
        *,
        body: Manifest | None = None,
        query: Mapping[str, str] | None = None,
        accept: str = _JSON,
    ) -> Manifest:
        path = resource.path(namespace, name, subresource)
        url = f"{self._configuration.host}{path}?{urlencode(query or {})}"
        headers = {"Accept": accept, "Content-Type": _MERGE_PATCH if verb == "PATCH" else _JSON, "User-Agent": FIELD_MANAGER}
        if authorization := await self._configuration.get_api_key_with_prefix("BearerToken"):
            headers["Authorization"] = authorization
        if verb != "GET" and not self._may_write():
            raise Unreachable(f"{verb} {path}: this replica does not hold the Lease any more")
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        start, code = time.monotonic(), "none"
        try:
            response = await self._connections.request(  # type: ignore[no-untyped-call]
                verb, url, headers=headers, body=body, _request_timeout=timeout
            )
            code = str(response.status)
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{verb} {path}: {error or type(error).__name__}") from error
        finally:
            self._metrics.api_requests.labels(verb, resource.plural, code).inc()
            self._metrics.api_seconds.labels(verb).observe(time.monotonic() - start)
        return _answer(f"{verb} {path}", response.status, text)


def version_of(manifest: Manifest) -> int:
    """The resourceVersion as the number by which versions of one resource are ordered."""
    return int(manifest["metadata"].get("resourceVersion") or 0)


def _answer(request: str, code: int, text: bytes) -> Manifest:
    try:
        answer: Any = json.loads(text)
    except ValueError:
        answer = {"message": text[:200].decode(errors="replace")}
    if code < 300:
        return dict(answer)
    reason, message = str(answer.get("reason", "")), str(answer.get("message", ""))
    if code >= 500 or code == 429:
        raise Unreachable(f"{request}: {code} {message}")
    kind = {404: NotFound, 409: Conflict}.get(code, Refused)
    raise kind(request, code, reason, message)


def _owners(manifest: Manifest) -> set[str]:
    return {reference["uid"] for reference in manifest["metadata"].get("ownerReferences", [])}
