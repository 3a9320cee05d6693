"""The command lines of the other launchers, and the files beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from finetune_trainer.launcher import accelerate_launch, deepspeed_launch
from finetune_trainer.settings import NodeSettings

SETTINGS = NodeSettings.from_env(
    {"NNODES": "3", "NODE_RANK": "2", "NPROC_PER_NODE": "4", "MASTER_ADDR": "job-0-0.ftj-job", "MASTER_PORT": "29501"}
)
SCRATCH = Path("/scratch")
RANK = ("--module", "finetune_trainer.launcher.cold_rank", "/scratch/task.json")


def test_accelerate() -> None:
    command = accelerate_launch.command(SETTINGS, SCRATCH, 90)
    assert command.argv == (
        *(sys.executable, "-m", "accelerate.commands.launch", "--config_file", "/scratch/accelerate.yaml"),
        *("--machine_rank", "2", "--main_process_ip", "job-0-0.ftj-job", "--main_process_port", "29501"),
        *("--rdzv_conf", "timeout=90", *RANK),
    )
    config = yaml.safe_load(command.files[SCRATCH / "accelerate.yaml"])
    assert (config["num_machines"], config["num_processes"], config["distributed_type"]) == (3, 12, "MULTI_GPU")
    other = NodeSettings.from_env({"NNODES": "3", "NODE_RANK": "0", "NPROC_PER_NODE": "4"})
    assert accelerate_launch.configuration(other) == accelerate_launch.configuration(SETTINGS), "all nodes share it"


def test_deepspeed() -> None:
    command = deepspeed_launch.command(SETTINGS, SCRATCH)
    assert command.argv == (
        *(sys.executable, "-m", "deepspeed.launcher.runner", "--hostfile", "/scratch/hostfile", "--no_ssh"),
        *("--num_nodes", "3", "--node_rank", "2", "--master_addr", "job-0-0.ftj-job", "--master_port", "29501"),
        *("--log_level", "warning", "--no_local_rank", *RANK),
    )
    assert command.files == {SCRATCH / "hostfile": "node-0 slots=4\nnode-1 slots=4\nnode-2 slots=4\n"}
