"""One training process: build, train, save, always close.

The launcher's elastic agent calls `run_rank` in a process forked from the warm forkserver. Everything heavy is imported inside, so
that the launcher can name this function without importing torch's world.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from pathlib import Path

from finetune_api.contract import ExitCode
from finetune_trainer import failure
from finetune_trainer.errors import UserError
from finetune_trainer.fence import Fenced
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.lifeline import die_with
from finetune_trainer.rank.stop import StopRequest
from finetune_trainer.rank.task import RankTask


def run_rank(task: RankTask) -> None:
    """Train as `task` says and leave the process with a code of the contract.

    A failure is recorded for the launcher, and then the process leaves at once: destructors of a broken process group may wait for
    peers that will never answer.
    """
    die_with(task.launcher_pid)
    scratch, local_rank = Path(task.scratch_dir), int(os.environ["LOCAL_RANK"])
    with (scratch / f"stack-{local_rank}.txt").open("w") as stacks:
        faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
        heartbeat = Heartbeat(scratch / f"rank-{local_rank}.json")
        heartbeat.beat("loading")
        stop = StopRequest()
        signal.signal(signal.SIGTERM, stop.ask)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            from finetune_trainer.rank.job import train_job

            code = train_job(task, heartbeat, stop)
        except BaseException as exc:
            step = heartbeat.progress.get("step")
            failure.record(
                scratch / f"failure-{local_rank}.json", exc, phase=heartbeat.phase, rank=int(os.environ["RANK"]), step=step
            )
            sys.stdout.flush()
            os._exit(_exit_code(exc))
    sys.exit(code)


def _exit_code(exc: BaseException) -> ExitCode:
    if isinstance(exc, Fenced):
        return ExitCode.FENCED
    return ExitCode.USER_ERROR if isinstance(exc, UserError) else ExitCode.RETRYABLE
