"""One training process: what the launcher calls in a process forked from the warm forkserver.

launcher/rank_process.py is around it: there failures are recorded and the process always leaves.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path

from finetune_api.contract import ExitCode
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.lifeline import die_with
from finetune_trainer.rank.stop import StopRequest
from finetune_trainer.rank.task import RankTask


def run_rank(task: RankTask) -> ExitCode:
    """Train as `task` says. Returns OK, or PREEMPTED after an agreed stop; everything else is raised.

    SIGTERM asks for the stop; SIGUSR1 writes the stacks of all threads to stack-<local rank>.txt.
    """
    die_with(task.launcher_pid)
    scratch, local_rank = Path(task.scratch_dir), int(os.environ["LOCAL_RANK"])
    stacks = (scratch / f"stack-{local_rank}.txt").open("w")
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    stop = StopRequest()
    signal.signal(signal.SIGTERM, stop.ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heartbeat = Heartbeat(scratch / f"rank-{local_rank}.json")
    heartbeat.beat("loading")

    from finetune_trainer.rank.job import train_job  # Only now: the launcher names this module without torch's world.

    return train_job(task, heartbeat, stop)
