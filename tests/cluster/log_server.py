"""Serves the logs of pods as kubelets do, where a test plays the kubelet: the API server finds it through two Node objects."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

from cluster.api import Api
from cluster.kubelet import node


class PodLogs:
    """What pods have printed. A line's time is its number in seconds after the epoch, plus a microsecond."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self._ended: set[str] = set()
        self._cut: set[str] = set()
        self._changed = threading.Condition()
        self.asked: list[str] = []

    def write(self, pod: str, *lines: str) -> None:
        """The pod prints."""
        with self._changed:
            self._lines.setdefault(pod, []).extend(lines)
            self._changed.notify_all()

    def __contains__(self, pod: object) -> bool:
        """Whether its container has started."""
        return pod in self._lines

    def end(self, pod: str) -> None:
        """Its container has ended: streams of it end."""
        with self._changed:
            self._ended.add(pod)
            self._changed.notify_all()

    def cut(self, pod: str) -> None:
        """Streams of it break once, as when a load balancer drops a connection; new ones may be opened."""
        with self._changed:
            self._cut.add(pod)
            self._changed.notify_all()

    def stream(self, pod: str, query: dict[str, str]) -> Iterator[str]:
        """Lines as a kubelet would answer the query."""
        self.asked.append(pod)
        since = datetime.fromisoformat(query["sinceTime"]).timestamp() if "sinceTime" in query else 0.0
        sent = max(0, len(self._lines[pod]) - int(query["tailLines"])) if "tailLines" in query else 0
        while True:
            with self._changed:
                if pod in self._cut:
                    self._cut.discard(pod)
                    return
                lines = self._lines[pod][sent:]
                if not lines:
                    if query.get("follow") != "true" or pod in self._ended:
                        return
                    self._changed.wait()
                    continue
            for line in lines:
                sent += 1
                if sent >= since:  # Both are whole seconds for the API server.
                    stamp = datetime.fromtimestamp(sent, UTC).strftime("%Y-%m-%dT%H:%M:%S.000001000Z")
                    yield f"{stamp} {line}\n" if query.get("timestamps") == "true" else f"{line}\n"


@contextmanager
def serve_logs(api: Api, folder: Path) -> Iterator[PodLogs]:
    """Serve them for pods on the nodes `node-0` and `node-1`. Args: folder: takes a key."""
    logs = PodLogs()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlparse(self.path)
            _, _, _namespace, pod, _container = url.path.split("/")
            if pod not in logs:
                self._refuse(f'container "trainer" in pod "{pod}" is waiting to start: ContainerCreating')
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in logs.stream(pod, {name: values[-1] for name, values in parse_qs(url.query).items()}):
                data = line.encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def _refuse(self, text: str) -> None:
            self.send_response(400)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    key, certificate = folder / "kubelet.key", folder / "kubelet.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kubelet"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ExitStack() as nodes:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        for name in ("node-0", "node-1"):
            nodes.enter_context(node(api, name, {"cpu": "8", "memory": "64Gi"}))
            endpoint = {"kubeletEndpoint": {"Port": server.server_port}}
            addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
            api.patch("Node", None, name, {"status": {"addresses": addresses, "daemonEndpoints": endpoint}}, "status")
        yield logs
        server.shutdown()
