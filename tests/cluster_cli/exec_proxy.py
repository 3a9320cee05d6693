"""An API server that can execute: passes everything on to the real one, and runs the commands of `exec` on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

from cluster.api import Api
from finetune_cli.cluster.reader_pod import VOLUME

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 2, 8


class Proxy:
    """Attributes:
    url: its address.
    volume: the folder that commands see as the pod's volume.
    break_after: connections of the commands to come break after so many bytes, one each.
    """

    def __init__(self, url: str, volume: Path) -> None:
        self.url, self.volume = url, volume
        self.break_after: list[int] = []


@contextmanager
def exec_proxy(api: Api, volume: Path) -> Iterator[Proxy]:
    """Serve it. Everything passed on is done as the user of `api`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
            answer = api._pool.request(self.command, api._server + self.path, body=body, headers={**headers, **api._headers})
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(answer.data)))
            self.end_headers()
            self.wfile.write(answer.data)

        do_POST = do_PATCH = do_DELETE = _pass_on

        def do_GET(self) -> None:
            url = urlparse(self.path)
            if not url.path.endswith("/exec"):
                self._pass_on()
                return
            key = self.headers["Sec-WebSocket-Key"]
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode())
            self.end_headers()
            self.close_connection = True
            self._execute([word.replace(VOLUME, str(volume)) for word in parse_qs(url.query)["command"]])

        def _execute(self, command: list[str]) -> None:
            breaks = proxy.break_after.pop(0) if "send" in command and proxy.break_after else None
            with subprocess.Popen([sys.executable, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
                assert child.stdout is not None and child.stderr is not None
                while chunk := child.stdout.read(30_000):
                    self._frame(1, chunk)
                    if breaks is not None and (breaks := breaks - len(chunk)) <= 0:
                        child.kill()
                        self.connection.close()
                        return
                self._frame(2, child.stderr.read())
                failure = {"status": "Failure", "message": "command terminated", "details": {"causes": [{"message": "1"}]}}
                self._frame(3, json.dumps({"status": "Success"} if child.wait() == 0 else failure).encode())
            self.wfile.write(bytes([0x80 | _CLOSE, 0]))

        def _frame(self, channel: int, data: bytes) -> None:
            data = bytes([channel]) + data
            length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
            self.wfile.write(bytes([0x80 | _BINARY]) + length + data)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy = Proxy(f"http://127.0.0.1:{server.server_port}", volume)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield proxy
        server.shutdown()
