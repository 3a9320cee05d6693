"""Asks node 0's launcher how far it is."""

from __future__ import annotations

import http.client
from pathlib import Path

from pydantic import ValidationError

from finetune_api.contract import Progress

_PATIENCE = 1.0


class ProgressReader:
    """Reads GET /progress of the launcher whose port is in `port_file`. Knows no proxy: it only speaks to this machine."""

    def __init__(self, port_file: Path) -> None:
        self._port_file = port_file
        self._last: Progress | None = None

    def poll(self) -> Progress | None:
        """The progress if it has changed since the last call, else None; a launcher that does not answer has not changed."""
        progress = self._ask()
        if progress is None or progress == self._last:
            return None
        self._last = progress
        return progress

    def _ask(self) -> Progress | None:
        try:
            port = int(self._port_file.read_text())
        except (FileNotFoundError, ValueError):
            return None  # Not yet there, or being written.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        try:
            connection.request("GET", "/progress")
            answer = connection.getresponse()
            return Progress.model_validate_json(answer.read()) if answer.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException, ValidationError):
            return None
        finally:
            connection.close()
