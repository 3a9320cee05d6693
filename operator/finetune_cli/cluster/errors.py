"""What can go wrong between this machine and a cluster, each as one line that says what to do next."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from finetune_api.names import PLURAL
from finetune_api.spec import GROUP, VERSION

_INSTALL = "helm install finetune-operator helm/finetune-operator --namespace finetune-system --create-namespace"


class ClusterError(Exception):
    """Nothing more can be done; the text says why and what to do, in one line."""


class NotFoundError(ClusterError):
    """The object is not there."""


class UnreachableError(ClusterError):
    """Nobody answered; it may pass."""


class ForbiddenError(ClusterError):
    """The user lacks a permission."""


class NotYetError(ClusterError):
    """A log that is not there yet: its container has not started."""


@dataclass(frozen=True)
class Request:
    """What was asked for, in words for an error.

    Attributes:
        verb: create, get, list, patch, delete, ...
        resource: plural, as in finetunejobs; `pods/log` for a subresource.
    """

    verb: str
    resource: str
    namespace: str | None = None
    name: str = ""

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{f' {self.name}' if self.name else ''}{where}"


def no_kubeconfig(looked_at: str) -> ClusterError:
    """There is nothing that says where a cluster is."""
    return ClusterError(
        f"There is no cluster to talk to: no {looked_at}. Set KUBECONFIG, or train on this machine: finetune run JOB.YAML"
    )


def bad_kubeconfig(detail: object) -> ClusterError:
    """The kubeconfig cannot be used."""
    text = " ".join(str(detail).split())
    return ClusterError(f"The kubeconfig cannot be used: {text.rstrip('.')}. Look at it: kubectl config get-contexts")


def unreachable(server: str, cause: BaseException) -> UnreachableError:
    """The API server did not answer."""
    return UnreachableError(
        f"The cluster at {server} does not answer ({_cause(cause)}). Is it up, and is this the right context? "
        "kubectl config get-contexts"
    )


def refused(status: int, body: bytes, request: Request) -> ClusterError:
    """The error for an answer of the API server.

    Args:
        status: HTTP status, at least 400.
        body: a Status object as JSON, or any text.
    """
    document = _document(body)
    message = " ".join(str(document.get("message", "")).split()).rstrip(".")
    if status == 401:
        return ClusterError("The cluster does not know who you are: log in again, as your cluster's owner has told you.")
    if status == 403:
        return ForbiddenError(_forbidden(request, message))
    if status == 404 and request.resource == PLURAL and not document.get("details", {}).get("name"):
        return ClusterError(f"The operator is not installed in this cluster: it knows no FineTuneJob. Install it: {_INSTALL}")
    if status == 404 and document.get("details", {}).get("name", request.name) != request.name:
        if document["details"].get("kind") == "namespaces":
            return NotFoundError(f"There is no namespace {request.namespace}: kubectl create namespace {request.namespace}")
        return NotFoundError(f"Cannot {request}: {message}.")  # Something else is not there, for example the pod's node.
    if status == 404:
        kind = request.resource.partition("/")[0].removesuffix("s")
        return NotFoundError(f"There is no {kind} {request.name} in namespace {request.namespace}.")
    if status == 400 and request.resource == "pods/log":
        return NotYetError(f"There is no log yet: {message}.")
    if status == 422:
        return ClusterError("\n".join(_causes(document)) or message)
    return ClusterError(f"The cluster refused to {request} (HTTP {status}): {message or 'it does not say why'}.")


def other_version(versions: list[str]) -> ClusterError:
    """The cluster has FineTuneJobs of versions that this command does not speak."""
    return ClusterError(
        f"The cluster has FineTuneJobs of version {', '.join(versions)}; this command speaks {GROUP}/{VERSION}. Install the "
        "finetune-operator package of the version that the cluster's operator has: helm list --all-namespaces"
    )


def job_not_found(name: str, namespace: str, near: str | None) -> NotFoundError:
    """There is no such job. Args: near: the name that was probably meant."""
    hint = f"Did you mean {near}?" if near else "finetune list --all-namespaces shows those there are."
    return NotFoundError(f"There is no FineTuneJob {name} in namespace {namespace}. {hint}")


def _forbidden(request: Request, message: str) -> str:
    if message and ': User "' not in message:  # Not a missing role: Pod Security, a quota, a webhook.
        return f"The cluster does not allow it: {message}."
    check = f"kubectl auth can-i {request.verb} {request.resource}"
    check += f".{GROUP}" if request.resource == PLURAL else ""
    where = f" -n {request.namespace}" if request.namespace else " -A"
    return f"You may not {request}. Ask whoever runs the cluster for the role `edit` there; check with: {check}{where}"


def _causes(document: dict[str, Any]) -> list[str]:
    """Each field that was refused, as `finetune validate` would say it."""
    lines = []
    for cause in document.get("details", {}).get("causes", []):
        text = str(cause.get("message", ""))
        for prefix in ("Invalid value: ", "Required value: ", "Unsupported value: "):
            if text.startswith(prefix):
                # Invalid value: "...": what is wrong. Of an object the value says nothing.
                text = text.removeprefix(prefix).removeprefix('"object": ')
        lines.append(f"{cause.get('field', '')}: {text}".removeprefix(": "))
    return list(dict.fromkeys(lines))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {"message": body.decode(errors="replace")}
    return document if isinstance(document, dict) else {}


def _cause(error: BaseException) -> str:
    """The innermost reason of urllib3's nested errors, in a few words."""
    reason: BaseException = error
    while isinstance(inner := getattr(reason, "reason", None), BaseException):
        reason = inner
    for known in (reason, reason.__cause__, reason.__context__):
        if isinstance(known, socket.gaierror):
            return "its name is not known"
        if isinstance(known, ConnectionRefusedError):
            return "connection refused"
        if isinstance(known, TimeoutError):
            return "no answer in time"
    text = str(reason).rpartition(": ")[2] or type(reason).__name__
    return " ".join(text.split())[:200]
