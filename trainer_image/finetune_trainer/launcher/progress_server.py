"""The launcher's HTTP server: /progress (JSON), /metrics (Prometheus), /healthz. Reads only; needs no credentials."""

from __future__ import annotations

import contextlib
import errno
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from finetune_api import contract
from finetune_api.contract import Progress
from finetune_trainer.errors import UserError
from finetune_trainer.launcher import progress

#: The main loop ticks several times a second; a launcher that has not for this long hangs.
HEALTHY_SECONDS = 30.0


class ProgressServer:
    """Serves in a thread of its own until the process ends.

    Args:
        host: "" for all interfaces, IPv4 and IPv6.
        port: 0 for any free one.
        read: gives the current Progress.
        ticked_at: gives the time.monotonic() at which the main loop was last seen alive.

    Raises:
        UserError: PortInUse.
    """

    def __init__(self, host: str, port: int, read: Callable[[], Progress], ticked_at: Callable[[], float]) -> None:
        self._read, self._ticked_at = read, ticked_at
        try:
            self._server = _Server((host, port), _handler(self))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise UserError(
                "PortInUse",
                f"Port {port}, for /progress and /metrics, is in use.",
                f"Set {contract.ENV_HTTP_PORT} to a free port, or 0.",
            ) from error
        threading.Thread(target=self._server.serve_forever, name="progress", daemon=True).start()

    @property
    def port(self) -> int:
        """The port in force."""
        return int(self._server.server_address[1])

    def write_port(self, path: Path) -> None:
        """Tell the port through a file, written atomically."""
        scratch = path.with_name(path.name + ".tmp")
        scratch.write_text(str(self.port))
        scratch.replace(path)

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body for a GET."""
        if path == "/progress":
            return HTTPStatus.OK, "application/json", self._read().model_dump_json(by_alias=True, exclude_none=True).encode()
        if path == "/metrics":
            return HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", progress.metrics(self._read())
        if path == "/healthz":
            silent = time.monotonic() - self._ticked_at()
            if silent < HEALTHY_SECONDS:
                return HTTPStatus.OK, "text/plain", b"ok\n"
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"main loop silent for {silent:.0f} s\n".encode()
        return HTTPStatus.NOT_FOUND, "text/plain", b"try /progress, /metrics or /healthz\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if not address[0] and socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which can take seconds where DNS is slow."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)


def _handler(server: ProgressServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0

        def do_GET(self) -> None:
            status, content_type, body = server.answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # Whoever asked did not wait for the answer.
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Polling is not worth a line each time."""

    return Handler
