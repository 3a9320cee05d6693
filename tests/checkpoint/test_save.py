"""One save: the fence is looked at before anything is touched and again before the commit; failures leave what was complete."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import pytest

from finetune_trainer import fence
from finetune_trainer.checkpoint import folder
from finetune_trainer.checkpoint.save import Checkpoints
from finetune_trainer.errors import UserError


class OneRank:
    """A group of a single rank."""

    rank = 0

    def barrier(self) -> None:
        """There is nobody to wait for."""


def checkpoints(output: Path, attempt: int, **facts: object) -> Checkpoints:
    """Those of node 0 in `attempt`, which has claimed the folder."""
    state = output / ".finetune"
    token = fence.Token(0, attempt, f"pod-{attempt}")
    fence.claim(state, 0, token)
    return Checkpoints(
        root=output / "checkpoints",
        writer=str(token.generation),
        keep=2,
        ranks=OneRank(),
        facts={"strategy": "ddp", "globalBatch": 8, "worldSize": 1, **facts},
        check_fence=partial(fence.check, state, 0, token),
    )


def write(target: Path) -> None:
    (target / "model.bin").write_bytes(b"weights")


def test_a_writer_that_was_fenced_before_touches_nothing(tmp_path: Path) -> None:
    older, newer = checkpoints(tmp_path, 0), checkpoints(tmp_path, 1)
    under_way = folder.start(newer.root, 8, newer.writer)
    with pytest.raises(fence.Fenced):
        older.save(5, write)
    assert [path.name for path in newer.root.iterdir()] == [under_way.name]


def test_a_writer_that_is_fenced_while_it_writes_does_not_commit(tmp_path: Path) -> None:
    older = checkpoints(tmp_path, 0)
    older.save(5, write)

    def overtaken(target: Path) -> None:
        write(target)
        checkpoints(tmp_path, 1)

    with pytest.raises(fence.Fenced):
        older.save(6, overtaken)
    newest = folder.newest_complete(older.root, pytest.fail)
    assert newest is not None and folder.step_of(newest) == 5


def test_a_full_disk_is_told_in_words_and_keeps_what_was_complete(tmp_path: Path) -> None:
    saved = checkpoints(tmp_path, 0)
    saved.save(5, write)

    def full(target: Path) -> None:
        write(target)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="No space left for the checkpoint of step 6") as caught:
        saved.save(6, full)
    assert caught.value.reason == "DiskFull"
    assert [path.name for path in saved.root.iterdir()] == ["step-00000005"]


def test_another_world_size_is_told_and_another_global_batch_is_refused(tmp_path: Path) -> None:
    checkpoints(tmp_path, 0).save(5, write)
    told: list[str] = []
    assert checkpoints(tmp_path, 1, worldSize=2).newest(told.append) is not None
    assert "written by 1 ranks under ddp, now there are 2 under ddp" in told[0]
    with pytest.raises(UserError, match="globalBatch 8, this run has 16"):
        checkpoints(tmp_path, 2, globalBatch=16).newest(told.append)
