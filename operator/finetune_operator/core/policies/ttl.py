"""runPolicy.ttlSecondsAfterFinished: when a finished job is deleted."""

from __future__ import annotations

from finetune_api.spec import RunPolicy
from finetune_api.status import FineTuneJobStatus
from finetune_api.times import unix


def seconds_to_keep(status: FineTuneJobStatus, policy: RunPolicy, now: float) -> float | None:
    """How long a finished job is still kept; not positive: delete it now. None: for ever."""
    if policy.ttl_seconds_after_finished is None or status.completion_time is None:
        return None
    return unix(status.completion_time) + policy.ttl_seconds_after_finished - now
