"""Checkpoint folders: complete or not there; damaged ones are passed over; the newest is never lost."""

import json
import stat
from pathlib import Path

import pytest

from finetune_trainer.checkpoint import folder


def write(root: Path, step: int, content: bytes = b"weights" * 100) -> Path:
    partial = folder.start(root, step, "0")
    (partial / "model.bin").write_bytes(content)
    (partial / "model.bin").chmod(0o600)
    folder.commit(partial, folder.final_path(root, step), {"step": step})
    return folder.final_path(root, step)


def test_newest_complete_is_found(tmp_path: Path) -> None:
    for step in (5, 100, 20):
        write(tmp_path, step)
    newest = folder.newest_complete(tmp_path, pytest.fail)
    assert newest is not None and folder.step_of(newest) == 100
    assert folder.facts(newest)["step"] == 100


def damage_truncate(path: Path) -> None:
    file = path / "model.bin"
    file.write_bytes(file.read_bytes()[:-1])


def damage_bit(path: Path) -> None:
    file = path / "model.bin"
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)


def damage_missing(path: Path) -> None:
    (path / "model.bin").unlink()


def damage_no_marker(path: Path) -> None:
    (path / folder.MARKER).unlink()


def damage_marker(path: Path) -> None:
    (path / folder.MARKER).write_text("{")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_truncate, "699 bytes instead of 700"),
        (damage_bit, "content of model.bin has changed"),
        (damage_missing, "model.bin is missing"),
        (damage_no_marker, "not written to the end"),
        (damage_marker, "complete.json is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_the_reason(tmp_path: Path, damage, words: str) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path, 1)
    damage(write(tmp_path, 2))
    warnings: list[str] = []
    newest = folder.newest_complete(tmp_path, warnings.append)
    assert newest is not None and folder.step_of(newest) == 1
    assert len(warnings) == 1 and words in warnings[0] and "step-00000002" in warnings[0]


def test_a_save_that_was_cut_off_does_not_count_and_is_cleared(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (folder.start(tmp_path, 2, "0") / "model.bin").write_bytes(b"half")
    newest = folder.newest_complete(tmp_path, pytest.fail)
    assert newest is not None and folder.step_of(newest) == 1
    folder.start(tmp_path, 3, "1")
    assert not folder.partial_path(tmp_path, 2, "0").exists()


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    for step in (1, 2, 3, 10):
        write(tmp_path, step)
    folder.rotate(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000003", "step-00000010"]


def test_files_can_be_read_by_other_users_of_the_volume(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    for file in path.iterdir():
        assert file.stat().st_mode & stat.S_IROTH, file
    assert json.loads((path / folder.MARKER).read_text())["files"]["model.bin"]["bytes"] == 700


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    damage_bit(write(tmp_path, 4))
    write(tmp_path, 4)
    assert folder.defect(folder.final_path(tmp_path, 4)) is None
