"""A checkpoint of all ranks: everybody writes its part, then rank 0 checks the fence and commits."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from finetune_trainer.checkpoint import folder, rng
from finetune_trainer.checkpoint.state import load_state, save_state
from finetune_trainer.errors import UserError

TRAINER_STATE = "trainer_state.json"


class Group(Protocol):
    """The ranks that write together (rank/group.py)."""

    @property
    def rank(self) -> int:
        """This one's number."""
        ...

    def barrier(self) -> None:
        """Wait for all."""
        ...


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one job.

    Attributes:
        root: the folder `checkpoints/`.
        writer: a word for the attempt that writes, different from every other's.
        keep: how many are kept.
        ranks: those that save and load together.
        facts: world size, global batch, strategy: kept in the marker, compared on resume.
        check_fence: raises Fenced when a newer attempt owns the output folder.
    """

    root: Path
    writer: str
    keep: int
    ranks: Group
    facts: dict[str, Any]
    check_fence: Callable[[], None]

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Save the state after `step`. All ranks call it; it returns when the checkpoint is complete.

        Args:
            write: writes this rank's part into the given folder.

        Raises:
            UserError: DiskFull. The last complete checkpoint is still there.
            Fenced: nothing was changed.
        """
        try:
            if self.ranks.rank == 0:
                self.check_fence()
                folder.start(self.root, step, self.writer)
            self.ranks.barrier()
            partial = folder.partial_path(self.root, step, self.writer)
            write(partial)
            save_state(partial, _rng_name(self.ranks.rank), rng.capture())
            self.ranks.barrier()
            if self.ranks.rank == 0:
                self.check_fence()
                folder.commit(partial, folder.final_path(self.root, step), {"step": step, **self.facts})
                folder.rotate(self.root, self.keep)
            self.ranks.barrier()
        except Exception as exc:
            if _disk_full(exc):
                folder.clear_partial(self.root)
                raise UserError(
                    "DiskFull",
                    f"No space left for the checkpoint of step {step} in {self.root}; the checkpoint before it is kept.",
                    "Free space on the volume, or lower spec.training.saveTotalLimit, and run again: it continues.",
                ) from exc
            raise

    def newest(self, warn: Callable[[str], None]) -> Path | None:
        """The checkpoint to go on from, or None.

        Raises:
            UserError: ResumeMismatch, when it was written with another global batch.
        """
        newest = folder.newest_complete(self.root, warn)
        if newest is None:
            return None
        written = folder.facts(newest)
        if written["globalBatch"] != self.facts["globalBatch"]:
            raise UserError(
                "ResumeMismatch",
                f"Checkpoint {newest.name} was written with globalBatch {written['globalBatch']}, "
                f"this run has {self.facts['globalBatch']}.",
                "Go back to the old setting, or start over in another output folder.",
            )
        then, now = ((facts["strategy"], facts["worldSize"]) for facts in (written, self.facts))
        if then != now:
            warn(
                f"{newest.name} was written by {then[1]} ranks under {then[0]}, now there are {now[1]} under {now[0]}: "
                "the loss goes on as before, but not bit for bit"
            )
        return newest

    def restore_rng(self, checkpoint: Path) -> None:
        """Random generators of this rank; left as they are where the checkpoint was written by fewer ranks."""
        name = _rng_name(self.ranks.rank)
        if (checkpoint / f"{name}.json").is_file():
            rng.restore(load_state(checkpoint, name))


def _rng_name(rank: int) -> str:
    return f"rng-{rank:05d}"


def _disk_full(exc: BaseException) -> bool:
    """safetensors reports a full disk in words only."""
    return (isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left" in str(exc)
