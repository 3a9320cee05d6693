"""torch's elastic agent for the ranks of this node. Importing this module imports torch; CUDA is not touched."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from torch.distributed.elastic.agent.server.api import WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from finetune_trainer.launcher import rank_process
from finetune_trainer.rank.task import RankTask
from finetune_trainer.settings import NodeSettings

#: How long an agent whose ranks are done stays for those of the other nodes: node 0's holds the store that they use.
EXIT_BARRIER_SECONDS = 10.0


class Agent:
    """One gang of ranks, started by `run` in a thread of its own and watched from another: a Starter (starter.py).

    Attributes:
        pids: local rank -> process, once the rendezvous is complete and the processes are there.
        exit_codes: local rank -> exit code (negative: signal), once everything is over.
        error: what the agent itself failed with, for example the rendezvous.
    """

    gathers = True

    def __init__(self, settings: NodeSettings, task: RankTask, entry: str, rendezvous_timeout: int) -> None:
        self.pids: dict[int, int] | None = None
        self.exit_codes: dict[int, int] = {}
        self.error: Exception | None = None
        self._spec = (settings, task, entry, rendezvous_timeout)
        self._thread = threading.Thread(target=self._run, name="agent", daemon=True)

    def start(self) -> None:
        """Begin with the rendezvous."""
        # The agent warns that it cannot handle signals in a thread (the launcher does), and prints each failure in its own form.
        for name in ("torch.distributed.elastic", "torch.multiprocessing"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until everything is over, but not longer than this. Returns whether it is."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Nothing: a thread in a rendezvous ends with its process."""

    @property
    def running(self) -> bool:
        """Whether ranks, or the agent itself, are still at work."""
        return self._thread.is_alive()

    def _run(self) -> None:
        processes: dict[int, BaseProcess] = {}

        def started(ids: dict[int, int]) -> None:
            by_pid = {process.pid: process for process in multiprocessing.active_children()}
            # One that has ended already is no child any more; what it failed with it has written down itself.
            processes.update({local_rank: by_pid[pid] for local_rank, pid in ids.items() if pid in by_pid})
            self.pids = ids

        try:
            _build(*self._spec, started).run()
        except Exception as error:
            self.error = error
        self.exit_codes = {rank: process.exitcode for rank, process in processes.items() if process.exitcode is not None}


class _ObservedAgent(LocalElasticAgent):  # type: ignore[misc]
    """Tells which processes were started. Only this thread may poll them: the pipe that brings an exit code is read once."""

    def __init__(self, started: Callable[[dict[int, int]], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._started = started

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        ids: dict[int, Any] = super()._start_workers(worker_group)
        self._started(ids)
        return ids


def _build(
    settings: NodeSettings, task: RankTask, entry: str, rendezvous_timeout: int, started: Callable[[dict[int, int]], None]
) -> LocalElasticAgent:
    rendezvous = RendezvousParameters(
        backend="static",
        endpoint=f"{settings.master_addr}:{settings.master_port}",
        run_id=str(settings.token.generation),
        min_nodes=settings.nnodes,
        max_nodes=settings.nnodes,
        rank=settings.node_rank,
        timeout=rendezvous_timeout,
    )
    spec = WorkerSpec(
        role="rank",
        local_world_size=settings.nproc_per_node,
        rdzv_handler=get_rendezvous_handler(rendezvous),
        entrypoint=rank_process.enter,
        args=(entry, task),
        max_restarts=0,
        monitor_interval=0.05,
        master_addr=settings.master_addr,
        master_port=settings.master_port,
    )
    return _ObservedAgent(
        started,
        spec=spec,
        logs_specs=DefaultLogsSpecs(log_dir=task.scratch_dir),
        start_method="forkserver",
        exit_barrier_timeout=EXIT_BARRIER_SECONDS,
        shutdown_timeout=5,
    )
