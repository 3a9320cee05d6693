"""Times as Kubernetes writes them (RFC 3339, UTC, whole seconds) and as Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def unix(text: str) -> float:
    """2026-01-02T03:04:05Z -> Unix seconds; fractions are kept.

    Raises:
        ValueError: it is not a time.
    """
    return datetime.fromisoformat(text).timestamp()


def rfc3339(seconds: float) -> str:
    """Unix seconds -> 2026-01-02T03:04:05Z."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
