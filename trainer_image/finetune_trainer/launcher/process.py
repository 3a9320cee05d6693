"""A process that the launcher watches but need not have started itself: a rank (a child of the forkserver), or prepare."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from finetune_trainer import failure, heartbeat


@dataclass(frozen=True)
class Watched:
    """Held by a pidfd, so that a signal never reaches another process that has got the same number.

    Attributes:
        name: for people: "rank 3", "prepare".
        rank: global rank; None for prepare.
        slot: name of its files in the scratch folder: the local rank, or "prepare".
    """

    name: str
    rank: int | None
    slot: str
    pid: int
    pidfd: int | None
    scratch: Path

    @classmethod
    def open(cls, name: str, rank: int | None, slot: str, pid: int, scratch: Path) -> Watched:
        """Take hold of a process; it may be gone already."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            pidfd = None
        return cls(name, rank, slot, pid, pidfd, scratch)

    @property
    def stack_file(self) -> Path:
        """Where faulthandler writes."""
        return self.scratch / f"stack-{self.slot}.txt"

    def alive(self) -> bool:
        """Whether it has not ended yet."""
        if self.pidfd is None:
            return False
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        if self.pidfd is not None:
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                return

    def beat(self) -> heartbeat.Beat | None:
        """Its last sign of life."""
        return heartbeat.read(self.scratch / (f"rank-{self.slot}.json" if self.rank is not None else "prepare.json"))

    def failure(self) -> failure.Failure | None:
        """Its own account of its end."""
        return failure.read(self.scratch / f"failure-{self.slot}.json")

    def state(self) -> str:
        """The kernel's letter for what it does (proc(5)), or "gone"."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "gone"
