"""The warm start: a forkserver that imports what the ranks need while the data is prepared.

CUDA is never touched in it: a forked process could not use it any more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import forkserver

from finetune_api.spec import FineTuneJob
from finetune_trainer.launcher import preload
from finetune_trainer.launcher.cgroup import available_cpus
from finetune_trainer.settings import NodeSettings

#: What any rank needs before its entry is called.
START = ("torch", "torch.distributed", "torch.distributed.elastic.multiprocessing", "finetune_trainer.launcher.rank_process")


@dataclass(frozen=True)
class Preload:
    """What the forkserver imports: `modules` in order, after transformers was told that `hidden` packages are not there."""

    modules: tuple[str, ...]
    hidden: tuple[str, ...] = ()

    def encode(self) -> str:
        """As preload.py reads it."""
        return json.dumps({"hide": self.hidden, "modules": self.modules})


def choose(job: FineTuneJob) -> Preload:
    """Everything that a rank of this job imports, and nothing else."""
    training = job.spec.training
    models = ["transformers", "transformers.trainer", "transformers.models.auto.modeling_auto"]
    ours = ["finetune_trainer.rank.train", "finetune_trainer.rank.job"]
    # bitsandbytes before PEFT, which would import it as it is.
    used = {
        "bitsandbytes": training.method == "qlora",
        "peft": training.has_adapter,
        "deepspeed": job.spec.distributed.strategy == "deepspeed",
    }
    return Preload(
        modules=(
            *START,
            *(["bitsandbytes"] if used["bitsandbytes"] else []),
            *models,
            *(p for p in ("peft", "deepspeed") if used[p]),
            *ours,
        ),
        hidden=("datasets", *(package for package, needed in used.items() if not needed)),
    )


def rank_environment(job: FineTuneJob, settings: NodeSettings, env: Mapping[str, str]) -> dict[str, str]:
    """Variables to set before anything starts: the job's own, and defaults for what neither it nor the machine has set.

    Whoever started the launcher has set the job's own already, except by hand; on a cluster with $(NAME) filled in.
    """
    own = {name: value for name, value in job.spec.trainer.written_env.items() if name not in env}
    nodes_here = settings.nnodes if settings.parent_pid else 1  # A local run has all nodes on this machine.
    threads = max(1, available_cpus() // (settings.nproc_per_node * nodes_here))
    defaults = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    if job.spec.distributed.strategy == "deepspeed" or job.spec.training.method == "qlora":
        # DeepSpeed and bitsandbytes look for GPUs when they are imported; asked through NVML, a forked process can still use them.
        defaults["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    return {name: value for name, value in defaults.items() if not env.get(name)} | own


def start(plan: Preload) -> None:
    """Start the forkserver; it imports in the background. Call in the main thread, with the ranks' environment in os.environ."""
    os.environ[preload.ENV_PLAN] = plan.encode()
    try:
        forkserver.set_forkserver_preload([preload.__name__])
        forkserver.ensure_running()
    finally:
        del os.environ[preload.ENV_PLAN]
