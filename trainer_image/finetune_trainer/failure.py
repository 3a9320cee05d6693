"""What a process leaves behind when it fails: one small JSON file that its launcher turns into words."""

from __future__ import annotations

import contextlib
import json
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune_api.contract import Phase
from finetune_trainer.errors import UserError


@dataclass(frozen=True)
class Failure:
    """One process's own account of its end.

    Attributes:
        time: Unix time.
        rank: global rank; None for prepare and for the launcher itself.
        type: class name of the exception.
        reason, hint: those of a UserError, else None and "".
        errno: that of the first OSError in the chain of causes.
        row: the data row being worked on, in words.
    """

    time: float
    rank: int | None
    phase: Phase
    step: int | None
    type: str
    message: str
    reason: str | None
    hint: str
    traceback: str
    user_error: bool
    errno: int | None
    row: str | None = None


def describe(
    exc: BaseException, *, phase: Phase, rank: int | None = None, step: int | None = None, row: str | None = None
) -> Failure:
    """The record of `exc`."""
    user = exc if isinstance(exc, UserError) else None
    return Failure(
        time=time.time(),
        rank=rank,
        phase=phase,
        step=step,
        type=type(exc).__name__,
        message=user.message if user else str(exc),
        reason=user.reason if user else None,
        hint=user.hint if user else "",
        traceback="".join(traceback.format_exception(exc)),
        user_error=user is not None,
        errno=_errno(exc),
        row=row,
    )


def record(path: Path, exc: BaseException, *, phase: Phase, rank: int | None, step: int | None, row: str | None = None) -> None:
    """Write the record of `exc` atomically. Never raises: it is called while something else is already going wrong."""
    with contextlib.suppress(Exception):
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(describe(exc, phase=phase, rank=rank, step=step, row=row))))
        scratch.replace(path)


def read(path: Path) -> Failure | None:
    """The record at `path`, or None if there is none."""
    try:
        return Failure(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _errno(exc: BaseException) -> int | None:
    """Walk from `exc` to its causes; libraries like to wrap an OSError."""
    seen: BaseException | None = exc
    for _ in range(16):
        if seen is None:
            return None
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen.errno
        seen = seen.__cause__ or seen.__context__
    return None
