"""Put one rank's trainer together: model, rows, batch plan, callbacks, Trainer."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import torch
from transformers import PrinterCallback, TrainingArguments, set_seed
from transformers.utils.logging import disable_progress_bar

from finetune_api import contract
from finetune_api.spec import FineTuneJob
from finetune_trainer import fence
from finetune_trainer.checkpoint.save import Checkpoints
from finetune_trainer.data.reader import open_rows
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.model.adapter import add_adapter
from finetune_trainer.model.load import load_model
from finetune_trainer.prepared import Prepared
from finetune_trainer.rank.arguments import training_arguments
from finetune_trainer.rank.batches import BatchPlan
from finetune_trainer.rank.group import Ranks
from finetune_trainer.rank.parts import Parts, StepTally
from finetune_trainer.rank.schedule import Schedule
from finetune_trainer.rank.step_log import StepLog
from finetune_trainer.rank.stop import StopRequest
from finetune_trainer.rank.task import RankTask
from finetune_trainer.rank.timings import Timings
from finetune_trainer.rank.trainer import JobTrainer
from finetune_trainer.strategies.base import Strategy


def build_trainer(
    task: RankTask,
    job: FineTuneJob,
    prepared: Prepared,
    strategy: Strategy,
    ranks: Ranks,
    heartbeat: Heartbeat,
    stop: StopRequest,
    timings: Timings,
) -> tuple[JobTrainer, Schedule]:
    """The trainer, ready to train, and the schedule that knows whether a stop was agreed on."""
    disable_progress_bar()  # A bar of every rank would only litter the log.
    training, output, packed = job.spec.training, Path(task.output_dir), job.dataset.packing
    strategy.before_model()
    own_folder = output / contract.STATE_DIR / "trainer"
    arguments = TrainingArguments(**training_arguments(training, own_folder, strategy.arguments(), torch.cuda.is_available()))
    set_seed(training.seed)
    model = add_adapter(load_model(prepared.model, job.model, training), training)
    timings.mark("model_loaded")
    rows = open_rows(Path(prepared.data))
    timings.mark("data_opened")

    plan = BatchPlan(
        rows=len(rows.train),
        micro_batch=training.per_device_train_batch_size,
        accumulation=training.gradient_accumulation_steps,
        world_size=ranks.world_size,
        seed=training.seed,
    )
    total_steps = training.max_steps if training.max_steps > 0 else math.ceil(training.num_train_epochs * plan.steps_per_epoch)
    parts = Parts(
        training=training,
        plan=plan,
        packed=packed,
        train_rows=rows.train,
        eval_rows=rows.eval,
        strategy=strategy,
        checkpoints=Checkpoints(
            root=output / contract.CHECKPOINTS_DIR,
            writer=str(task.token.generation),
            keep=training.save_total_limit,
            ranks=ranks,
            facts={"strategy": strategy.name, "globalBatch": plan.global_batch, "worldSize": ranks.world_size},
            check_fence=partial(fence.check, output / contract.STATE_DIR, task.node_rank, task.token),
        ),
        ranks=ranks,
        tally=StepTally(),
        log=StepLog(output / contract.LOG_FILE, task.token.attempt, total_steps),
        heartbeat=heartbeat,
        timings=timings,
    )
    eval_steps = (training.eval_steps or plan.steps_per_epoch) if rows.eval else None
    schedule = Schedule(parts, stop, eval_steps)
    trainer = JobTrainer(parts, model=model, args=arguments, callbacks=[timings, schedule])
    trainer.remove_callback(PrinterCallback)
    return trainer, schedule
