"""What the steps of a launcher share: the node's settings, what was asked for, and what it tells the world."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from finetune_api.contract import ExitCode, Phase, Progress
from finetune_api.spec import FineTuneJob
from finetune_trainer.launcher import peers, progress
from finetune_trainer.launcher.process import Watched
from finetune_trainer.launcher.stop import Stop
from finetune_trainer.results.attempts import AttemptLog
from finetune_trainer.settings import NodeSettings

TICK_SECONDS = 0.05
PEER_LOOK_SECONDS = 1.0


@dataclass
class Context:
    """One launcher at work.

    Attributes:
        scratch: folder of this node for heartbeats, failure records and stack dumps.
        record: of the phases of this attempt, kept by node 0.
        leader: the process whose heartbeat is shown: prepare, later the first rank.
        peer: the failure of another node, once seen.
    """

    settings: NodeSettings
    job: FineTuneJob
    scratch: Path
    stop: Stop
    record: AttemptLog
    own: Progress
    leader: Watched | None = None
    peer: peers.PeerFailure | None = None
    ticked_at: float = field(default_factory=time.monotonic)
    _looked_at: float = 0.0

    @property
    def prepared_file(self) -> Path:
        """What prepare of this attempt writes, for all nodes."""
        return self.settings.state_dir / f"prepared-{self.settings.token.generation}.json"

    def enter(self, phase: Phase, message: str = "") -> None:
        """Tell where the launcher itself stands."""
        self.leader = None
        self.own = Progress(phase=phase, message=message, attempt=self.settings.attempt, updated_at=time.time())

    def finishing(self, message: str) -> None:
        """Tell what the launcher itself does after training; where that has got to is still true."""
        own = self.progress().model_copy(update={"phase": "finishing", "message": message, "updated_at": time.time()})
        self.leader, self.own = None, own

    def progress(self) -> Progress:
        """What /progress answers."""
        leader = self.leader
        return progress.merge(self.own, leader.beat() if leader else None, time.time(), time.monotonic())

    def last_progress(self, exit_code: ExitCode) -> Progress:
        """Where training stood when all processes had ended."""
        ended: dict[str, Phase] = {} if exit_code is ExitCode.PREEMPTED else {"phase": "failed"}
        if exit_code is ExitCode.OK:
            ended = {"phase": "done"}
        return self.progress().model_copy(update={"message": "", "eta_seconds": None, **ended})

    def tick(self) -> None:
        """Call in every turn of every wait: looks for failed peers now and then, notes a new phase, and sleeps a moment."""
        now = self.ticked_at = time.monotonic()
        if self.settings.nnodes > 1 and now - self._looked_at > PEER_LOOK_SECONDS:
            self._looked_at = now
            self.peer = self.peer or peers.first_failure(self.settings)
            if self.peer and self.peer.is_stop:
                self.stop.request()
        if self.record.begun:
            self.record.note(self.progress())
        time.sleep(TICK_SECONDS)
