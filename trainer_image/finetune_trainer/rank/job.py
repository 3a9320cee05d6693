"""The way of one rank through a job: load, wrap, resume, train, hand over the result."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from finetune_api import contract
from finetune_api.contract import ExitCode
from finetune_api.load import load_job
from finetune_trainer.checkpoint import folder
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.model.four_bit import check_installed, parameter_counts
from finetune_trainer.prepared import Prepared
from finetune_trainer.rank.build import build_trainer
from finetune_trainer.rank.finish import finish
from finetune_trainer.rank.group import join
from finetune_trainer.rank.stop import StopRequest
from finetune_trainer.rank.task import RankTask
from finetune_trainer.rank.timings import Timings
from finetune_trainer.rank.trackers import add_trackers
from finetune_trainer.rank.trainer import JobTrainer
from finetune_trainer.strategies import strategy_for
from finetune_trainer.strategies.held import held_bytes
from finetune_trainer.upstream.warm_exit import leave


def train_job(task: RankTask, heartbeat: Heartbeat, stop: StopRequest) -> ExitCode:
    """Train to the end or to the agreed stop. Returns OK or PREEMPTED; everything else is raised."""
    timings = Timings(task.launcher_pid)
    timings.mark("import_done")
    job, prepared, output = load_job(Path(task.job_file)), Prepared.read(Path(task.prepared_file)), Path(task.output_dir)
    strategy = strategy_for(job.spec.distributed, prepared.configuration)
    strategy.check_platform(torch.cuda.is_available())
    if job.spec.training.method == "qlora":
        check_installed()
    ranks = join(job.spec.distributed, job.spec.run_policy.stall_timeout_seconds)
    timings.mark("process_group")
    trainer, schedule = build_trainer(task, job, prepared, strategy, ranks, heartbeat, stop, timings)

    with timings.resuming():
        checkpoint = trainer.parts.checkpoints.newest(_warn if ranks.rank == 0 else _ignore)
    step, total_steps = folder.step_of(checkpoint) if checkpoint else 0, trainer.parts.log.total_steps
    if ranks.rank == 0:
        trainer.parts.log.continue_after(step)
        _tell_start(trainer, step)
    add_trackers(trainer, output, step)
    heartbeat.beat("loading", step=step, total_steps=total_steps, last_checkpoint_step=step or None)
    if step < total_steps:  # Else only the result was not written.
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        timings.holding(held_bytes(trainer.model_wrapped, trainer.optimizer))
    timings.write(output / contract.STATE_DIR / f"timings-{task.token.attempt}-{ranks.rank}.json")

    if not schedule.stopped:
        heartbeat.beat("finishing")
        finish(job, prepared, output, trainer)
        ranks.barrier()
        heartbeat.beat("done")
    leave(trainer)
    return ExitCode.PREEMPTED if schedule.stopped else ExitCode.OK


def _tell_start(trainer: JobTrainer, step: int) -> None:
    total, trained = parameter_counts(trainer.model)
    plan = trainer.parts.plan
    print(
        f"training {trained / 1e6:.2f} of {total / 1e6:.2f} million parameters on {plan.rows} rows, "
        f"{trainer.parts.log.total_steps} steps of {plan.global_batch} rows over {plan.world_size} ranks"
        + (f", going on after step {step}" if step else ""),
        flush=True,
    )


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


def _ignore(_: str) -> None:
    """The other ranks would only repeat it."""
