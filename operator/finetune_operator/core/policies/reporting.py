"""When a new status is worth a write: at once, but for numbers that change all the time."""

from __future__ import annotations

from finetune_api.status import FineTuneJobStatus


def write_after(old: FineTuneJobStatus, new: FineTuneJobStatus, *, written_at: float, interval: float, now: float) -> float:
    """Seconds that the write may wait.

    Args:
        written_at: when progress was last written, Unix seconds.
        interval: least time between two writes that only bring new progress, seconds.
    """
    if _news(old) != _news(new) or _first_step(old, new):
        return 0.0
    return max(0.0, written_at + interval - now)


def _news(status: FineTuneJobStatus) -> FineTuneJobStatus:
    """The status without what changes all the time; the sentence about a running job says what it is busy with."""
    busy = {"message": ""} if status.phase == "Running" else {}
    return status.model_copy(update={"progress": None, "summary": None, **busy})


def _first_step(old: FineTuneJobStatus, new: FineTuneJobStatus) -> bool:
    """The first sign that training goes on is not to be waited for."""
    return (old.progress is None or old.progress.step is None) and new.progress is not None and new.progress.step is not None
