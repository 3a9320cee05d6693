"""What clients asked of the API server, by its own audit log: who wrote what, and how often."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

#: Every write once, when it is done; reads are not logged.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
"""
#: In bytes, and more than any line has.
_LONGEST_LINE = 2**16


@dataclass(frozen=True)
class Write:
    """A request that may change something.

    Attributes:
        user: who, for example system:serviceaccount:finetune:operator.
        verb: create, update, patch, delete or deletecollection.
        resource: plural, with the subresource if there is one: pods, pods/status.
        namespace: empty for what lives in none.
        name: empty where the server chooses it.
        status: HTTP status of the answer; 409 and 422 changed nothing.
        received: when the request came, Unix time.
        answered: when it was answered.
    """

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    status: int
    received: float
    answered: float


class AuditLog:
    """Reads the log as it grows. `policy` and `path` are for the API server."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.log"
        self.policy = folder / "audit-policy.yaml"
        self.policy.write_text(POLICY)

    def here(self) -> int:
        """The present end of the log: a point to read from."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as log:
            start = max(0, log.seek(0, os.SEEK_END) - _LONGEST_LINE)
            log.seek(start)
            return start + log.read().rfind(b"\n") + 1  # What follows is being written.

    def writes(self, since: int = 0) -> list[Write]:
        """Writes after the point `since`, in the order in which they were answered."""
        return self.read(since)[0]

    def read(self, since: int) -> tuple[list[Write], int]:
        """Writes after the point `since`, and the point to read on from."""
        found: list[Write] = []
        if not self.path.exists():
            return found, since
        with self.path.open("rb") as log:
            log.seek(since)
            for line in log:
                if not line.endswith(b"\n"):  # It is being written.
                    break
                found += _writes(json.loads(line))
                since += len(line)
        return found, since


def _writes(event: dict[str, Any]) -> Iterator[Write]:
    """The write that a line tells of; none if it is not about an object (/healthz)."""
    target = event.get("objectRef")
    if target:
        yield Write(
            user=event["user"]["username"],
            verb=event["verb"],
            resource=target["resource"] + (f"/{target['subresource']}" if "subresource" in target else ""),
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            status=event.get("responseStatus", {}).get("code", 0),
            received=_unix_time(event["requestReceivedTimestamp"]),
            answered=_unix_time(event["stageTimestamp"]),
        )


def _unix_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
