"""What the launcher hands to each rank process of its node."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RankTask:
    """Plain text and numbers only: it is pickled on its way through the forkserver.

    Attributes:
        job_file: the resolved FineTuneJob.
        output_dir: folder of the results, shared by all nodes.
        prepared_file: what node 0's prepare wrote (finetune_trainer.prepared).
        scratch_dir: folder of this node for heartbeats, failure records and stack dumps, named by local rank.
        attempt, node_rank, pod_uid: the fencing token (finetune_trainer.fence).
        launcher_pid: process whose death ends the rank (finetune_trainer.lifeline).
    """

    job_file: str
    output_dir: str
    prepared_file: str
    scratch_dir: str
    attempt: int
    node_rank: int
    pod_uid: str
    launcher_pid: int
