"""Reading the API server's audit log while it is written."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.audit import AuditLog

EVENT = {
    "user": {"username": "operator"},
    "verb": "patch",
    "objectRef": {"resource": "finetunejobs", "subresource": "status", "namespace": "n", "name": "a"},
    "responseStatus": {"code": 409},
    "requestReceivedTimestamp": "2026-01-01T00:00:00.500000Z",
    "stageTimestamp": "2026-01-01T00:00:00.750000Z",
}


def _line(**changes: object) -> str:
    return json.dumps({**EVENT, **changes}) + "\n"


def test_a_write_is_read_once_it_is_complete(tmp_path: Path):
    log = AuditLog(tmp_path)
    assert log.read(log.here()) == ([], 0)
    line = _line()
    log.path.write_text(line + line[:40])
    (write,), end = log.read(0)
    assert (write.user, write.verb, write.resource, write.status) == ("operator", "patch", "finetunejobs/status", 409)
    assert write.answered - write.received == 0.25
    assert log.here() == end == len(line)
    log.path.write_text(line + line)
    assert len(log.writes(end)) == 1


def test_requests_about_no_object_are_passed_over(tmp_path: Path):
    log = AuditLog(tmp_path)
    log.path.write_text(_line(objectRef=None) + _line())
    assert len(log.writes()) == 1
