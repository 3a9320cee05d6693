"""Logs: one JSON object a line, with the job it is about."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from finetune_api.spec import KIND

_LEAST = {"kopf": logging.INFO, "kopf.objects": logging.WARNING, "kubernetes": logging.WARNING, "asyncio": logging.WARNING}
#: The job (namespace/name) that the current task works on; empty outside of a reconciliation.
current_job: ContextVar[str] = ContextVar("current_job", default="")


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, logger, job (when known), message and exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without line breaks inside."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "job": current_job.get() or _job_of_kopf(record),
            "message": record.getMessage(),
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({key: value for key, value in line.items() if value}, ensure_ascii=False)


def set_up(level: str) -> None:
    """Log to stderr from `level` on; of libraries only what an operator's administrator can use."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _LEAST.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))


def _job_of_kopf(record: logging.LogRecord) -> str:
    reference = getattr(record, "k8s_ref", None) or {}
    return f"{reference.get('namespace')}/{reference.get('name')}" if reference.get("kind") == KIND else ""
