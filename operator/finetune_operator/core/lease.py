"""Who works, where there are several replicas: the holder of a Lease. Others may take it when it was not renewed for long enough.

Times are seconds of a replica's own clock, which has nothing to do with those of others: what counts is how long a Lease has stayed
the same before its own eyes.
"""

from __future__ import annotations

from typing import Any

from finetune_operator.core.model import Manifest

#: So long others wait for a holder that is silent.
DURATION_SECONDS = 15
#: So long a holder goes on without having renewed; less than the others wait, so that it has stopped when one of them begins.
DEADLINE_SECONDS = 10.0
#: Between two looks, and two renewals.
PERIOD_SECONDS = 2.0


def may_take(lease: Manifest, identity: str, unchanged_seconds: float) -> bool:
    """Whether `identity` may write its name into the Lease, which has not changed for so long."""
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity")
    return not holder or holder == identity or unchanged_seconds >= (spec.get("leaseDurationSeconds") or DURATION_SECONDS)


def held(lease: Manifest, identity: str, now: str) -> dict[str, Any]:
    """spec of the Lease when `identity` holds it. Args: now: UTC in RFC 3339 with microseconds."""
    spec = lease.get("spec") or {}
    if spec.get("holderIdentity") == identity:
        return {**spec, "renewTime": now}
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": DURATION_SECONDS,
        "acquireTime": now,
        "renewTime": now,
        "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1 if spec else 0,
    }


def released(lease: Manifest, now: str) -> dict[str, Any]:
    """spec of a Lease that anybody may take at once."""
    return {**(lease.get("spec") or {}), "holderIdentity": "", "renewTime": now}
