"""The environment of a node's launcher: the contract that a cluster's pods get, filled in for this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune_api import contract as c
from finetune_api.spec import Distributed, FineTuneJob
from finetune_trainer.errors import UserError
from finetune_trainer.fence import Token

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Layout:
    """Processes and the GPUs they get.

    Attributes:
        gpus: visible GPUs as CUDA_VISIBLE_DEVICES spells them; empty: train on the processor.
    """

    nodes: int
    processes_per_node: int
    gpus: tuple[str, ...] = ()

    @property
    def world_size(self) -> int:
        """Number of training processes."""
        return self.nodes * self.processes_per_node

    def node_gpus(self, node_rank: int) -> tuple[str, ...]:
        """The GPUs of one node: as many as it has processes."""
        first = node_rank * self.processes_per_node
        return self.gpus[first : first + self.processes_per_node]

    def __str__(self) -> str:
        device = f"{len(self.gpus)} GPU{'s' * (len(self.gpus) != 1)}" if self.gpus else "CPU"
        nodes, processes = f"{self.nodes} node{'s' * (self.nodes != 1)}", self.processes_per_node
        return f"{nodes} x {processes} process{'es' * (processes != 1)} ({device})"


def choose_layout(distributed: Distributed, gpus: Sequence[str]) -> Layout:
    """Divide the visible GPUs among the nodes; without GPUs, processesPerNode is 1 unless the job says otherwise.

    Raises:
        UserError: NotEnoughGpus, when two processes would share one.
    """
    processes = distributed.processes_per_node or max(1, len(gpus) // distributed.nodes)
    layout = Layout(distributed.nodes, processes, tuple(gpus))
    if gpus and layout.world_size > len(gpus):
        raise UserError(
            "NotEnoughGpus",
            f"The job asks for {distributed.nodes} x {processes} processes, but {len(gpus)} GPUs are visible.",
            f"Lower spec.distributed.nodes x processesPerNode to {len(gpus)}, or hide the GPUs with CUDA_VISIBLE_DEVICES=-1.",
        )
    return layout


@dataclass(frozen=True)
class NodeStart:
    """Where one node of one attempt stands and writes.

    Attributes:
        token: the node's, for the fence.
        mounts: "CLAIM" or "configmap/NAME" -> folder.
        port_file: takes the port of the launcher's HTTP server.
        termination_log: takes the launcher's last words.
        parent_pid: process whose death ends the launcher.
    """

    job_file: Path
    output: Path
    token: Token
    node_rank: int
    master_port: int
    mounts: Mapping[str, str]
    port_file: Path
    termination_log: Path
    parent_pid: int


def node_environment(inherited: Mapping[str, str], job: FineTuneJob, layout: Layout, start: NodeStart, cpus: int) -> dict[str, str]:
    """All variables of one launcher. The contract's names win over the job's env, the job's env over what is inherited.

    Args:
        inherited: environment of this process; names of the contract in it belong to someone else's run and are dropped.
        cpus: processors that all nodes share.
    """
    kept = {name: value for name, value in inherited.items() if not _reserved(name)}
    threads = {"OMP_NUM_THREADS": str(max(1, cpus // layout.world_size)), "PYTHONUNBUFFERED": "1"}
    # A file datasets.py or tokenizers.py in the folder the user stands in must not shadow the library.
    fixed = {"PYTHONSAFEPATH": "1", "FORCE_TORCHRUN": "1", "RANK": str(start.node_rank)}
    gpus = {"CUDA_VISIBLE_DEVICES": ",".join(layout.node_gpus(start.node_rank))} if layout.gpus else {}
    place = {
        c.ENV_NNODES: str(layout.nodes),
        c.ENV_NODE_RANK: str(start.node_rank),
        c.ENV_NPROC_PER_NODE: str(layout.processes_per_node),
        c.ENV_MASTER_ADDR: _LOOPBACK,
        c.ENV_MASTER_PORT: str(start.master_port),
    }
    ours = {
        c.ENV_JOB_FILE: str(start.job_file),
        c.ENV_OUTPUT_DIR: str(start.output),
        c.ENV_JOB_CREATED: str(start.token.job_created),
        c.ENV_ATTEMPT: str(start.token.attempt),
        c.ENV_POD_UID: start.token.pod_uid,
        c.ENV_MOUNTS: json.dumps(dict(start.mounts)),
        c.ENV_HTTP_PORT: "0",
        c.ENV_HTTP_PORT_FILE: str(start.port_file),
        c.ENV_TERMINATION_LOG: str(start.termination_log),
        c.ENV_PARENT_PID: str(start.parent_pid),
    }
    return (
        threads
        | kept
        | job.spec.trainer.written_env
        | fixed
        | gpus
        | place
        | {f"PET_{name}": value for name, value in place.items()}
        | ours
    )


def _reserved(name: str) -> bool:
    return name in c.RESERVED_ENV or name.startswith(c.RESERVED_ENV_PREFIXES)
