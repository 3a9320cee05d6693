"""When a new status is worth a write: at once, but for numbers that change all the time."""

from __future__ import annotations

from finetune_api.status import FineTuneJobStatus


def write_after(old: FineTuneJobStatus, new: FineTuneJobStatus, *, written_at: float, interval: float, now: float) -> float:
    """Seconds that the write may wait.

    Args:
        written_at: when progress was last written, Unix seconds.
        interval: least time between two writes that only bring new progress, seconds.
    """
    if _news(old) != _news(new) or _stage(old) < _stage(new):
        return 0.0
    return max(0.0, written_at + interval - now)


def _news(status: FineTuneJobStatus) -> FineTuneJobStatus:
    """The status without what changes all the time; the sentence about a running job says what it is busy with."""
    busy = {"message": ""} if status.phase == "Running" else {}
    return status.model_copy(update={"progress": None, "summary": None, **busy})


def _stage(status: FineTuneJobStatus) -> int:
    """How far training is: 1 when its steps are known, 2 when one is done. The first sign of either is not to be waited for."""
    if status.progress is None or status.progress.step is None:
        return 0
    return 2 if status.progress.step else 1
