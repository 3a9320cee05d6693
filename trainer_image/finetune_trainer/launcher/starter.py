"""Who starts the ranks of this node: what the launcher needs of torch's elastic agent, accelerate or DeepSpeed, and which it is."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from typing import Protocol

from finetune_api.spec import FineTuneJob
from finetune_trainer.launcher import accelerate_launch, deepspeed_launch, warm
from finetune_trainer.launcher.cold_start import ColdStart
from finetune_trainer.launcher.context import Context
from finetune_trainer.rank.task import RankTask


class Starter(Protocol):
    """One gang of ranks, from its start to the last exit. Used by the launcher's main thread alone."""

    @property
    def pids(self) -> Mapping[int, int] | None:
        """Local rank -> process, once the processes are there, or have come and gone."""
        ...

    @property
    def exit_codes(self) -> Mapping[int, int]:
        """Local rank -> exit code (negative: signal), once everything is over."""
        ...

    @property
    def error(self) -> Exception | None:
        """What the start itself failed with, for example the rendezvous."""
        ...

    @property
    def running(self) -> bool:
        """Whether ranks, or who started them, are still at work."""
        ...

    @property
    def gathers(self) -> bool:
        """Whether `pids` are there only when all nodes have come together."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait until everything is over, but not longer than this. Returns whether it is."""
        ...

    def close(self) -> None:
        """End a start that is not wanted any more, without a wait."""
        ...


def warm_up(job: FineTuneJob, preload: warm.Preload) -> None:
    """Begin while the data is prepared with what a start needs and takes time. Call in the main thread."""
    if job.spec.distributed.launcher == "torchrun":
        warm.start(preload)
        threading.Thread(target=importlib.import_module, args=("finetune_trainer.launcher.agent",), daemon=True).start()


def starter_for(context: Context, task: RankTask, entry: str, preload: warm.Preload) -> Starter:
    """The starter that `spec.distributed.launcher` names.

    Args:
        entry: "module:function" that each rank calls with `task`.
        preload: what a rank imports before that.
    """
    settings, distributed = context.settings, context.job.spec.distributed
    match distributed.launcher:
        case "torchrun":
            from finetune_trainer.launcher.agent import Agent  # With torch, which the others do without.

            return Agent(settings, task, entry, distributed.rendezvous_timeout_seconds)
        case "accelerate":
            command = accelerate_launch.command(settings, context.scratch, distributed.rendezvous_timeout_seconds)
        case "deepspeed":
            command = deepspeed_launch.command(settings, context.scratch)
    return ColdStart(command, settings.nproc_per_node, task, entry, preload)
