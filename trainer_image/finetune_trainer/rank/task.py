"""What the launcher hands to each rank process of its node."""

from __future__ import annotations

from dataclasses import dataclass

from finetune_trainer.fence import Token


@dataclass(frozen=True)
class RankTask:
    """Plain data only: it is pickled on its way through the forkserver.

    Attributes:
        job_file: the resolved FineTuneJob.
        output_dir: folder of the results, shared by all nodes.
        prepared_file: what node 0's prepare wrote (finetune_trainer.prepared).
        scratch_dir: folder of this node for heartbeats, failure records and stack dumps, named by local rank.
        token: this pod's, for the fence.
        launcher_pid: process whose death ends the rank (finetune_trainer.lifeline).
    """

    job_file: str
    output_dir: str
    prepared_file: str
    scratch_dir: str
    token: Token
    node_rank: int
    launcher_pid: int
