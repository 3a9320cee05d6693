"""Kubernetes' API for tests: manifests in and out as plain dicts, blocking, with nothing cached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from kubernetes import config
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

Manifest = dict[str, Any]

#: kind -> (API prefix, plural, whether it lives in a namespace).
_KINDS: Mapping[str, tuple[str, str, bool]] = {
    "Namespace": ("api/v1", "namespaces", False),
    "Node": ("api/v1", "nodes", False),
    "PersistentVolume": ("api/v1", "persistentvolumes", False),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims", True),
    "Pod": ("api/v1", "pods", True),
    "Service": ("api/v1", "services", True),
    "ConfigMap": ("api/v1", "configmaps", True),
    "Secret": ("api/v1", "secrets", True),
    "ServiceAccount": ("api/v1", "serviceaccounts", True),
    "Event": ("api/v1", "events", True),
    "Job": ("apis/batch/v1", "jobs", True),
    "Deployment": ("apis/apps/v1", "deployments", True),
    "Lease": ("apis/coordination.k8s.io/v1", "leases", True),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "FineTuneJob": ("apis/finetune.dev/v1alpha1", "finetunejobs", True),
}


class ApiError(Exception):
    """The API server said no.

    Attributes:
        status: HTTP status, for example 404, 409 or 422.
        reason: Kubernetes' word for it, for example NotFound.
    """

    def __init__(self, status: int, body: bytes) -> None:
        try:
            document = json.loads(body)
        except ValueError:
            document = {"message": body.decode(errors="replace")}
        self.status, self.reason = status, str(document.get("reason", ""))
        super().__init__(f"{status} {self.reason}: {document.get('message', '')}")


class Watch:
    """Events of a collection as they come. Iterating ends when it is closed, from any thread, or when the server goes away."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[tuple[str, Manifest]]:
        """Yield (ADDED | MODIFIED | DELETED, object)."""
        rest = b""
        try:
            while chunk := self._response.read1():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]
        except (HTTPError, OSError):
            return

    def close(self) -> None:
        """End the iteration."""
        with suppress(RuntimeError):  # It has ended by itself.
            self._response.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._response.close()


class Api:
    """One user's access to one cluster. May be used by several threads.

    Args:
        kubeconfig: says which cluster and who.
    """

    def __init__(self, kubeconfig: Path) -> None:
        client = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        self._server: str = client.configuration.host
        self._headers = {key["key"]: key["value"] for key in client.configuration.auth_settings().values()}
        self._pool = client.rest_client.pool_manager

    def create(self, manifest: Manifest) -> Manifest:
        """POST. Raises ApiError, for example 409 when it is there, 422 when it is not valid."""
        return self.request("POST", path(manifest["kind"], manifest["metadata"].get("namespace")), manifest)

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, as `kubectl apply --server-side --force-conflicts`. Raises ApiError."""
        at = path(manifest["kind"], manifest["metadata"].get("namespace"), manifest["metadata"]["name"])
        query = "?fieldManager=tests&force=true&fieldValidation=Strict"
        return self.request("PATCH", at + query, manifest, "application/apply-patch+yaml")

    def get(self, kind: str, namespace: str | None, name: str) -> Manifest:
        """GET. Raises ApiError 404."""
        return self.request("GET", path(kind, namespace, name))

    def find(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        """GET; None if there is none."""
        try:
            return self.get(kind, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, labels: str = "") -> list[Manifest]:
        """LIST, of all namespaces by default. Args: labels: a label selector."""
        query = f"?{urlencode({'labelSelector': labels})}" if labels else ""
        items: list[Manifest] = self.request("GET", path(kind, namespace) + query)["items"]
        return items

    def patch(
        self, kind: str, namespace: str | None, name: str, changes: Manifest, subresource: str = "", *, strategic: bool = False
    ) -> Manifest:
        """JSON merge patch: null removes, a list is replaced as a whole. Raises ApiError.

        Args:
            strategic: strategic merge patch (built-in kinds only): conditions, for one, are merged by type.
        """
        at = path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        kind_of_patch = "strategic-merge-patch" if strategic else "merge-patch"
        return self.request("PATCH", at, changes, f"application/{kind_of_patch}+json")

    def delete(self, kind: str, namespace: str | None, name: str, *, grace: int | None = None, uid: str | None = None) -> None:
        """DELETE with its children in the background. What is not there (or is another one than `uid`) is passed over."""
        options: Manifest = {"propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", path(kind, namespace, name), options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def evict(self, namespace: str, pod: str) -> None:
        """What `kubectl drain` does to a pod: it gets the condition DisruptionTarget and is deleted."""
        metadata = {"name": pod, "namespace": namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        self.request("POST", path("Pod", namespace, pod) + "/eviction", body)

    def watch(self, kind: str, namespace: str | None = None) -> Watch:
        """Follow a collection: first what is there as ADDED, then what changes. Close it, or use it in `with`. Raises ApiError."""
        url = f"{self._server}{path(kind, namespace)}?watch=true"
        response = self._pool.request("GET", url, headers=self._headers, preload_content=False, retries=False)
        if response.status != 200:
            raise ApiError(response.status, response.read())
        return Watch(response)

    def request(self, method: str, at: str, body: Manifest | None = None, content_type: str = "application/json") -> Manifest:
        """Any request; `at` is the path with its query. Raises ApiError, and urllib3's errors when nobody answers."""
        headers = {**self._headers, "Content-Type": content_type, "Accept": "application/json"}
        data = None if body is None else json.dumps(body)
        response = self._pool.request(method, self._server + at, body=data, headers=headers, timeout=30.0, retries=False)
        if response.status >= 400:
            raise ApiError(response.status, response.data)
        document: Manifest = json.loads(response.data)
        return document


def path(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """Path of a collection or of one object. A kind of a namespace without `namespace`: those of all namespaces."""
    prefix, plural, namespaced = _KINDS[kind]
    inside = f"/namespaces/{namespace}" if namespaced and namespace else ""
    return f"/{prefix}{inside}/{plural}" + (f"/{name}" if name else "")
