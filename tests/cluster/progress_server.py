"""Answers GET /progress as node 0's launcher does, on the address that a played kubelet gave to its pod."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from finetune_api.contract import HTTP_PORT, Progress


@contextmanager
def serve_progress(ip: str, progress: Callable[[], Progress]) -> Iterator[list[str]]:
    """Serve on `ip`, at the port that pods use, what `progress` returns. Yields the paths asked for, as they come."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = progress().model_dump_json(by_alias=True, exclude_none=True).encode()
            self.send_response(200 if self.path == "/progress" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer((ip, HTTP_PORT), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()
