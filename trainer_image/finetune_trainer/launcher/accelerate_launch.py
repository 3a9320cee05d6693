"""`accelerate launch`: one configuration for all nodes, this node's rank and the address of node 0 on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from finetune_trainer.launcher.command import RANK_MODULE, Command, task_file
from finetune_trainer.settings import NodeSettings


def command(settings: NodeSettings, scratch: Path, timeout: int) -> Command:
    """The command for this node.

    Args:
        scratch: takes the configuration.
        timeout: seconds that the nodes have to come together.
    """
    config = scratch / "accelerate.yaml"
    argv = (
        sys.executable, "-m", "accelerate.commands.launch",
        "--config_file", str(config),
        "--machine_rank", str(settings.node_rank),
        "--main_process_ip", settings.master_addr,
        "--main_process_port", str(settings.master_port),
        "--rdzv_conf", f"timeout={timeout}",
        "--module", RANK_MODULE, str(task_file(scratch)),
    )  # fmt: skip
    return Command("accelerate launch", argv, {config: configuration(settings)}, gathers=True)


def configuration(settings: NodeSettings) -> str:
    """The YAML that all nodes share.

    It only says how many processes there are: strategy and precision are the ranks' own, whoever starts them. MULTI_GPU is right
    without a GPU too: MULTI_CPU wants mpirun, and starts one process a node without it.
    """
    return yaml.safe_dump(
        {
            "compute_environment": "LOCAL_MACHINE",
            "distributed_type": "MULTI_GPU",
            "mixed_precision": "no",
            "num_machines": settings.nnodes,
            "num_processes": settings.nnodes * settings.nproc_per_node,
            "rdzv_backend": "static",
            "same_network": True,
            "use_cpu": False,
        },
        sort_keys=False,
    )
