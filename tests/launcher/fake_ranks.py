"""Entries that stand in for finetune_trainer.rank.train.run_rank; each is one way for ranks to behave."""

import faulthandler
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from finetune_trainer import failure
from finetune_trainer.errors import UserError
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.lifeline import die_with
from finetune_trainer.rank.task import RankTask

RANK = "RANK"


def _begin(task: RankTask) -> tuple[int, Heartbeat]:
    die_with(task.launcher_pid)
    local_rank, rank = os.environ["LOCAL_RANK"], int(os.environ[RANK])
    stacks = (Path(task.scratch_dir) / f"stack-{local_rank}.txt").open("w")
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    globals()["_stacks"] = stacks  # faulthandler needs it to stay open.
    dist.init_process_group("gloo", timeout=timedelta(seconds=30))
    heartbeat = Heartbeat(Path(task.scratch_dir) / f"rank-{local_rank}.json")
    heartbeat.beat("training", step=0)
    (Path(task.output_dir) / f"pid-{rank}").write_text(str(os.getpid()))
    return rank, heartbeat


def _step(heartbeat: Heartbeat, step: int) -> None:
    dist.all_reduce(torch.ones(1))
    heartbeat.beat(step=step, total_steps=100, loss=1.0 / step)


def succeed(task: RankTask) -> None:
    rank, heartbeat = _begin(task)
    _step(heartbeat, 1)
    (Path(task.output_dir) / f"env-{rank}").write_text("\n".join(f"{k}={v}" for k, v in os.environ.items()))
    print(f"hello from {rank}")
    dist.destroy_process_group()


def run_until_stopped(task: RankTask) -> None:
    """Steps for ever; a SIGTERM to any rank makes all leave at the same step with PREEMPTED."""
    _, heartbeat = _begin(task)
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    for step in range(1, 10_000):
        _step(heartbeat, step)
        flag = torch.tensor([len(asked)])
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        if flag.item():
            (Path(task.output_dir) / f"saved-{os.environ[RANK]}").write_text(str(step))
            dist.destroy_process_group()
            sys.exit(77)
        time.sleep(0.02)


def ignore_stop(task: RankTask) -> None:
    _, heartbeat = _begin(task)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for step in range(1, 10_000):
        _step(heartbeat, step)
        time.sleep(0.02)


def hang(task: RankTask) -> None:
    """Deaf to SIGTERM, as ranks in an NCCL collective are."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _begin(task)
    time.sleep(60)


def rank_1_raises(task: RankTask) -> None:
    rank, heartbeat = _begin(task)
    for step in range(1, 10_000):
        _step(heartbeat, step)
        if rank == 1 and step == 3:
            raise ValueError("the third step is too much")


def rank_1_bad_loss(task: RankTask) -> None:
    """Records its failure itself, as a real rank does."""
    rank, heartbeat = _begin(task)
    for step in range(1, 10_000):
        _step(heartbeat, step)
        if rank == 1 and step == 3:
            error = UserError("NonFiniteLoss", "The loss is nan.", "Lower training.learningRate.")
            path = Path(task.scratch_dir) / f"failure-{os.environ['LOCAL_RANK']}.json"
            failure.record(path, error, phase="training", rank=rank, step=step)
            os._exit(64)


def rank_1_raises_others_hang(task: RankTask) -> None:
    """The others are deaf to SIGTERM and hang, as ranks in an NCCL collective do."""
    rank, _ = _begin(task)
    if rank == 1:
        raise ValueError("no more")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


def rank_1_hangs(task: RankTask) -> None:
    rank, heartbeat = _begin(task)
    for step in range(1, 10_000):
        if rank == 1 and step == 3:
            time.sleep(60)
        _step(heartbeat, step)


def linger(task: RankTask) -> None:
    """Reports success, and then hangs when the process is to leave."""
    import atexit
    import threading

    _begin(task)
    dist.destroy_process_group()
    threading.Thread(target=time.sleep, args=(60,)).start()
    atexit.register(time.sleep, 60)
