"""The first and the last thing that happens in a rank process, whatever its entry does."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from finetune_api.contract import ExitCode
from finetune_trainer import failure, heartbeat
from finetune_trainer.errors import UserError
from finetune_trainer.fence import Fenced
from finetune_trainer.launcher.prefix import mark_lines
from finetune_trainer.lifeline import die_with_parent
from finetune_trainer.rank.task import RankTask


def enter(entry: str, task: RankTask) -> int:
    """Run `entry` ("module:function") with `task` in the process that was made for it.

    A rank that ends in good order, OK or PREEMPTED, returns its code to its starter, which takes it as success and leaves the other
    ranks alone; all other ends leave the process, so that the starter notices.
    """
    die_with_parent()
    scratch, local_rank, rank = Path(task.scratch_dir), int(os.environ["LOCAL_RANK"]), int(os.environ["RANK"])
    mark_lines(rank)
    try:
        module, _, function = entry.partition(":")
        code = getattr(importlib.import_module(module), function)(task)
    except SystemExit as leaving:
        code = leaving.code
    except BaseException as exc:
        path, beat = scratch / f"failure-{local_rank}.json", heartbeat.read(scratch / f"rank-{local_rank}.json")
        if not path.exists():
            phase, step = (beat.phase, beat.progress.get("step")) if beat else ("starting", None)
            failure.record(path, exc, phase=phase, rank=rank, step=step)
        _leave(exit_code(exc))
    code = int(code or ExitCode.OK)
    if code not in (ExitCode.OK, ExitCode.PREEMPTED):
        _leave(code)
    outcome_file(scratch, local_rank).write_text(str(code))
    return code


def outcome_file(scratch: Path, local_rank: int) -> Path:
    """Where a rank that has ended in good order says so. What happens to the process after that does not matter any more."""
    return scratch / f"outcome-{local_rank}"


def exit_code(exc: BaseException) -> ExitCode:
    """The contract's code for an exception that ended a process."""
    if isinstance(exc, Fenced):
        return ExitCode.FENCED
    return ExitCode.USER_ERROR if isinstance(exc, UserError) else ExitCode.RETRYABLE


def _leave(code: int) -> None:
    """Skip all destructors: those of a broken process group may wait for peers that never answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
