"""A disk that fills up ends the run in words, and costs nothing that was complete."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .expect import check
from .runs import Run

pytestmark = pytest.mark.resume


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB: room for about a dozen checkpoints of the tiny model."""
    if os.geteuid() != 0:
        message = "mounting a small tmpfs needs root"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_goes_on_when_there_is_room(
    make_job: Callable[..., dict[str, Any]], undisturbed: Callable[[str], str], small_disk: Path
) -> None:
    job = make_job("full", saveSteps=3, saveTotalLimit=100)
    run = Run(job, small_disk / "out", files=small_disk.parent)
    assert run.finish() == 1, run.log.read_text()
    assert "No space left for the checkpoint of step" in run.log.read_text()
    assert "Free space on the volume" in run.log.read_text()
    complete = sorted(
        folder.name for folder in (small_disk / "out" / "checkpoints").iterdir() if (folder / "complete.json").exists()
    )
    assert complete, "at least one checkpoint fits"

    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    again = Run(job, small_disk / "out", files=small_disk.parent)
    assert again.finish() == 0, again.log.read_text()
    assert f"going on after step {int(complete[-1].removeprefix('step-'))}" in again.node_log()
    check(small_disk / "out", undisturbed("full"))
