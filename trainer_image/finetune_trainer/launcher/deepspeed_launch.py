"""`deepspeed --no_ssh`: a hostfile for all nodes, this node's rank and the address of node 0 on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

from finetune_trainer.launcher.command import RANK_MODULE, Command, task_file
from finetune_trainer.settings import NodeSettings


def command(settings: NodeSettings, scratch: Path) -> Command:
    """The command for this node; `scratch` takes the hostfile."""
    hostfile = scratch / "hostfile"
    argv = (
        sys.executable, "-m", "deepspeed.launcher.runner",
        "--hostfile", str(hostfile),
        "--no_ssh",
        "--num_nodes", str(settings.nnodes),
        "--node_rank", str(settings.node_rank),
        "--master_addr", settings.master_addr,
        "--master_port", str(settings.master_port),
        "--log_level", "warning",
        "--no_local_rank",
        "--module", RANK_MODULE, str(task_file(scratch)),
    )  # fmt: skip
    return Command(
        "deepspeed",
        argv,
        {hostfile: hosts(settings)},
        gathers=False,  # It starts its processes at once; they meet in their process group.
        environment={"LOCAL_WORLD_SIZE": str(settings.nproc_per_node)},  # torchrun sets it, DeepSpeed does not.
        kept=("CUDA_VISIBLE_DEVICES",),  # DeepSpeed counts from 0, whatever this node was given.
    )


def hosts(settings: NodeSettings) -> str:
    """The hostfile that all nodes share. With --no_ssh, names are never looked up: only their order counts."""
    return "".join(f"node-{rank} slots={settings.nproc_per_node}\n" for rank in range(settings.nnodes))
