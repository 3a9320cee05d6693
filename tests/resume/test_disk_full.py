"""A disk that fills up ends the run in words, and costs nothing that was complete."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .expect import check
from .runs import Run

pytestmark = pytest.mark.resume


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_goes_on_when_there_is_room(
    make_job: Callable[..., dict[str, Any]], undisturbed: Callable[[str], str], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(24)  # Room for about a dozen checkpoints of the tiny model.
    job = make_job("full", saveSteps=3, saveTotalLimit=100)
    run = Run(job, disk / "out", files=disk.parent)
    assert run.finish() == 1, run.log.read_text()
    assert "No space left for the checkpoint of step" in run.log.read_text()
    assert "Free space on the volume" in run.log.read_text()
    complete = sorted(folder.name for folder in (disk / "out" / "checkpoints").iterdir() if (folder / "complete.json").exists())
    assert complete, "at least one checkpoint fits"

    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
    again = Run(job, disk / "out", files=disk.parent)
    assert again.finish() == 0, again.log.read_text()
    assert f"going on after step {int(complete[-1].removeprefix('step-'))}" in again.node_log()
    check(disk / "out", undisturbed("full"))
