"""The API server, as dicts in and out: the kubernetes package's connection and login, with our own errors.

The only module that knows HTTP. Everything raises ClusterError, with a line for people.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, list_kube_config_contexts, load_incluster_config, load_kube_config
from kubernetes.stream import ws_client
from urllib3.exceptions import HTTPError
from websocket import ABNF, WebSocketBadStatusException, WebSocketException, setdefaulttimeout
from yaml import YAMLError

from finetune_api.names import PLURAL
from finetune_api.problems import nearest
from finetune_api.spec import API_VERSION, GROUP, KIND, VERSION
from finetune_cli.cluster import errors
from finetune_cli.cluster.errors import ClusterError, NotFoundError, Request

Manifest = dict[str, Any]

#: plural -> API it belongs to.
_APIS: Mapping[str, str] = {
    PLURAL: f"apis/{API_VERSION}",
    "jobs": "apis/batch/v1",
    "deployments": "apis/apps/v1",
    "pods": "api/v1",
    "events": "api/v1",
    "services": "api/v1",
    "configmaps": "api/v1",
    "persistentvolumeclaims": "api/v1",
}
_FIELD_MANAGER = "kubectl-finetune"
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 30.0
#: A stream that is silent for so long is taken for broken: load balancers drop idle connections without a word.
_SILENCE_SECONDS = 60.0
_STDOUT, _STDERR, _STATUS = 1, 2, 3


class Client:
    """One user's access to one namespace of a cluster.

    Attributes:
        namespace: of all requests that name no other.
        server: address of the API server.
    """

    def __init__(self, configuration: Configuration, namespace: str) -> None:
        configuration.retries = False  # What is worth a second try is tried again by who asked.
        self._api = ApiClient(configuration)
        self.namespace = namespace
        self.server: str = configuration.host

    # --- FineTuneJobs
    def job(self, name: str) -> Manifest:
        """A FineTuneJob. Raises NotFoundError, with the name that was probably meant."""
        try:
            return self.get(PLURAL, name)
        except NotFoundError:
            names = [job["metadata"]["name"] for job in self.find(PLURAL)]
            raise errors.job_not_found(name, self.namespace, nearest(name, names)) from None

    def apply_job(self, manifest: Manifest) -> Manifest:
        """Create or change a FineTuneJob by server-side apply; what others wrote of its spec and is not in `manifest` stays."""
        name = manifest["metadata"]["name"]
        query = {"fieldManager": _FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        body = {**manifest, "apiVersion": API_VERSION, "kind": KIND}
        return self._json("PATCH", "patch", PLURAL, name, query=query, body=body, content_type="application/apply-patch+yaml")

    # --- any object
    def get(self, resource: str, name: str) -> Manifest:
        """One object. Raises NotFoundError."""
        return self._json("GET", "get", resource, name)

    def find(self, resource: str, *, labels: str = "", fields: str = "", everywhere: bool = False) -> list[Manifest]:
        """Objects of the namespace, or of all. Args: labels, fields: selectors."""
        query = {name: value for name, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        items: list[Manifest] = self._json("GET", "list", resource, query=query, everywhere=everywhere)["items"]
        return items

    def create(self, resource: str, manifest: Manifest) -> Manifest:
        """POST."""
        return self._json("POST", "create", resource, query={"fieldManager": _FIELD_MANAGER}, body=manifest)

    def patch(self, resource: str, name: str, changes: Manifest) -> Manifest:
        """JSON merge patch. Raises NotFoundError."""
        kind = "application/merge-patch+json"
        return self._json("PATCH", "patch", resource, name, query={"fieldManager": _FIELD_MANAGER}, body=changes, content_type=kind)

    def delete(self, resource: str, name: str) -> None:
        """DELETE; what is not there is passed over."""
        try:
            self._json("DELETE", "delete", resource, name)
        except NotFoundError:
            return

    def version(self) -> str:
        """Version of the API server, as in v1.36.2."""
        return str(json.loads(self._read("GET", "/version", Request("get", "version")))["gitVersion"])

    # --- pods
    def log(self, pod: str, *, namespace: str | None = None, **query: str) -> Iterator[bytes]:
        """Chunks of a pod's log. Args: query: follow, tailLines, limitBytes, timestamps, container, previous."""
        at = f"/api/v1/namespaces/{namespace or self.namespace}/pods/{pod}/log"
        request = Request("get", "pods/log", namespace or self.namespace, pod)
        silence = None if query.get("follow") else _READ_SECONDS
        response = self._send("GET", at, request, query, accept="*/*", read_seconds=silence)
        with closing(response):
            try:
                yield from response.stream()
            except (HTTPError, OSError) as error:
                raise errors.unreachable(self.server, error) from None

    def execute(self, pod: str, command: Sequence[str]) -> Iterator[bytes]:
        """Chunks of what a command in a pod's first container writes to standard output.

        Raises:
            UnreachableError: the connection broke before the command ended.
            ClusterError: the command failed; with the last line of its standard error.
        """
        request = Request("create", "pods/exec", self.namespace, pod)
        query = [*(("command", word) for word in command), ("stdout", "true"), ("stderr", "true")]
        _, url, headers, _, _ = self._api.param_serialize(
            "GET",
            f"/api/v1/namespaces/{self.namespace}/pods/{pod}/exec",
            query_params=query,
            auth_settings=["BearerToken"],
        )
        try:
            socket = _open(self._api.configuration, url, headers)
        except WebSocketBadStatusException as error:
            raise errors.refused(error.status_code, error.resp_body or b"", request) from None
        except (WebSocketException, OSError) as error:
            raise errors.unreachable(self.server, error) from None
        with closing(socket):
            try:
                yield from _command_output(socket, pod)
            except (WebSocketException, OSError) as error:
                raise errors.unreachable(self.server, error) from None

    # --- HTTP
    def _json(
        self,
        method: str,
        verb: str,
        resource: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        everywhere: bool = False,
    ) -> Manifest:
        namespace = None if everywhere else self.namespace
        at = f"/{_APIS[resource]}{f'/namespaces/{namespace}' if namespace else ''}/{resource}{f'/{name}' if name else ''}"
        request = Request(verb, resource, namespace, name)
        data = self._read(method, at, request, query, body=body, content_type=content_type)
        found: Manifest = json.loads(data)
        return found

    def _read(self, method: str, at: str, request: Request, query: Mapping[str, str] | None = None, **more: Any) -> bytes:
        response = self._send(method, at, request, query, **more)
        try:
            return bytes(response.data)
        except (HTTPError, OSError) as error:
            raise errors.unreachable(self.server, error) from None

    def _send(
        self,
        method: str,
        at: str,
        request: Request,
        query: Mapping[str, str] | None = None,
        *,
        body: Manifest | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        read_seconds: float | None = _READ_SECONDS,
    ) -> Any:
        """The response of urllib3, its body not read yet."""
        headers = {"Accept": accept, **({"Content-Type": content_type} if method != "GET" else {})}
        serialized = self._api.param_serialize(
            method, at, query_params=list((query or {}).items()), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = self._api.call_api(*serialized, _request_timeout=(_CONNECT_SECONDS, read_seconds)).response
            if response.status >= 400:
                raise self._refused(response.status, response.data, request)
        except (HTTPError, OSError) as error:
            raise errors.unreachable(self.server, error) from None
        return response

    def _refused(self, status: int, body: bytes, request: Request) -> ClusterError:
        error = errors.refused(status, body, request)
        if status == 404 and request.resource == PLURAL and not isinstance(error, NotFoundError):
            versions = self._versions()
            if versions and VERSION not in versions:
                return errors.other_version(versions)
        return error

    def _versions(self) -> list[str]:
        """Versions of our API that the cluster has."""
        try:
            group = json.loads(self._read("GET", f"/apis/{GROUP}", Request("get", "versions")))
        except (ClusterError, ValueError):
            return []
        return [str(version["version"]) for version in group.get("versions", [])]


def _open(configuration: Configuration, url: str, headers: Any) -> Any:
    """A websocket, as the package's own stream() opens it; that one keeps all it has read in memory."""
    setdefaulttimeout(_SILENCE_SECONDS)
    return ws_client.create_websocket(configuration, ws_client.get_websocket_url(url), headers)  # type: ignore[no-untyped-call]


def _command_output(socket: Any, pod: str) -> Iterator[bytes]:
    """Standard output, until the API server says how the command ended."""
    complaint = b""
    while True:
        opcode, frame = socket.recv_data_frame(True)
        if opcode == ABNF.OPCODE_CLOSE:
            raise ConnectionError("the connection was closed")
        if opcode not in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) or len(frame.data) < 2:
            continue
        channel, data = frame.data[0], frame.data[1:]
        if channel == _STDOUT:
            yield data
        elif channel == _STDERR:
            complaint = (complaint + data)[-4096:]
        elif channel == _STATUS:
            status = json.loads(data)
            if status.get("status") != "Success":
                text = complaint.decode(errors="replace").strip() or str(status.get("message", "it failed"))
                raise ClusterError(f"Pod {pod}: {text.splitlines()[-1]}")
            return


def connect(namespace: str | None = None, context: str | None = None, env: Mapping[str, str] = os.environ) -> Client:
    """The cluster that kubectl would use: KUBECONFIG or ~/.kube/config, in a pod its service account.

    Args:
        namespace: default: that of the context.

    Raises:
        ClusterError: nothing says where a cluster is.
    """
    configuration = Configuration()
    kubeconfig = env.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    try:
        if any(Path(path).is_file() for path in kubeconfig.split(os.pathsep)):
            load_kube_config(kubeconfig, context=context, client_configuration=configuration)  # type: ignore[no-untyped-call]
            return Client(configuration, namespace or _namespace(kubeconfig, context))
        if "KUBERNETES_SERVICE_HOST" in env and not context:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return Client(configuration, namespace or _own_namespace())
    except (ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # It checks little.
        raise errors.bad_kubeconfig(error) from None
    raise errors.no_kubeconfig(kubeconfig)


def _namespace(kubeconfig: str, context: str | None) -> str:
    contexts, active = list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    chosen = next((one for one in contexts if one["name"] == context), active)
    return str(chosen.get("context", {}).get("namespace") or "default")


def _own_namespace() -> str:
    return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text().strip()
