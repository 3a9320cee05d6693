"""Where training stands: what node 0 answered last, what it left behind at its end, and what was known before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from finetune_api.contract import Progress
from finetune_operator.core.model import Attempt
from finetune_operator.core.text import message

#: Numbers that stay true while the next attempt starts; the others (tokens per second, time left) do not.
_LASTING = ("step", "total_steps", "epoch", "loss", "eval_loss", "last_checkpoint_step")


def progress(known: Progress | None, polled: Progress | None, attempt: Attempt | None) -> Progress | None:
    """The progress to show.

    Args:
        known: of the status.
        polled: node 0's last answer, perhaps of an earlier attempt.
        attempt: the newest.
    """
    for report in _reports(polled, attempt):
        known = _merged(known, presentable(report))
    return known


def _reports(polled: Progress | None, attempt: Attempt | None) -> Iterator[Progress]:
    if attempt is None:
        return
    if polled is not None and polled.attempt == attempt.number:
        yield polled
    for pod in attempt.pods:
        if pod.rank == 0 and pod.exit is not None and pod.exit.message is not None and pod.exit.message.progress is not None:
            yield pod.exit.message.progress


def _merged(known: Progress | None, new: Progress) -> Progress:
    if known is None:
        return new
    if new.attempt < known.attempt or (new.attempt == known.attempt and new.updated_at < known.updated_at):
        return known
    if new.attempt == known.attempt:
        return known.model_copy(update=_given(new))
    if new.step is None:  # The next attempt has started and not yet read its checkpoint.
        return new.model_copy(update={name: getattr(known, name) for name in _LASTING if getattr(new, name) is None})
    return new


def _given(report: Progress) -> dict[str, Any]:
    return {name: value for name in Progress.model_fields if (value := getattr(report, name)) is not None}


def presentable(report: Progress) -> Progress:
    """Without what a status cannot hold: JSON, and so the API server, knows no NaN and no infinity; messages have a limit."""
    odd = [name for name, value in report if isinstance(value, float) and not math.isfinite(value)]
    update: dict[str, Any] = {name: 0.0 if name == "updated_at" else None for name in odd}
    return report.model_copy(update={"message": message(report.message), **update})
