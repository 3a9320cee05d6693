"""Whatever happens under way, the final weights are those of the undisturbed run, bit for bit, and no step is done twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trained import steps

from .expect import DISTURB_AT, STEPS, check
from .runs import Run

pytestmark = pytest.mark.resume


def kill_rank(run: Run) -> None:
    run.ranks()[-1].send_signal(signal.SIGKILL)


def kill_launcher(run: Run) -> None:
    run.launchers()[0].send_signal(signal.SIGKILL)


def kill_both(run: Run) -> None:
    launcher, rank = run.launchers()[0], run.ranks()[0]
    rank.send_signal(signal.SIGKILL)
    launcher.send_signal(signal.SIGKILL)


def terminate_rank(run: Run) -> None:
    run.ranks()[-1].send_signal(signal.SIGTERM)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("disturb", [kill_rank, kill_launcher, kill_both, terminate_rank])
def test_it_restarts_by_itself(
    make_job: Callable[..., dict[str, Any]],
    undisturbed: Callable[[str], str],
    tmp_path: Path,
    method: str,
    disturb: Callable[[Run], None],
) -> None:
    run = Run(make_job(method), tmp_path / "out")
    run.wait_for_step(DISTURB_AT)
    disturb(run)
    assert run.finish() == 0, run.log.read_text()
    lines = steps(run.output)
    assert lines[-1]["attempt"] > lines[0]["attempt"], "the disturbance came too late to disturb anything"
    check(run.output, undisturbed(method))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_ctrl_c_saves_and_running_again_continues(
    make_job: Callable[..., dict[str, Any]], undisturbed: Callable[[str], str], tmp_path: Path, method: str
) -> None:
    run = Run(make_job(method), tmp_path / "out")
    run.wait_for_step(DISTURB_AT)
    run.interrupt()
    assert run.finish() == 130, run.log.read_text()
    stopped_at = steps(run.output)[-1]["current_steps"]
    assert DISTURB_AT <= stopped_at < STEPS
    assert (run.output / "checkpoints" / f"step-{stopped_at:08d}").is_dir(), "no step is lost on a graceful stop"
    again = Run(make_job(method), tmp_path / "out")
    assert again.finish() == 0, again.log.read_text()
    assert f"going on after step {stopped_at}" in again.node_log()
    check(run.output, undisturbed(method))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_truncated_checkpoint_is_passed_over(
    make_job: Callable[..., dict[str, Any]], undisturbed: Callable[[str], str], tmp_path: Path, method: str
) -> None:
    run = Run(make_job(method), tmp_path / "out")
    run.wait_for_step(DISTURB_AT)
    run.interrupt()
    assert run.finish() == 130, run.log.read_text()
    *_, before, newest = sorted((run.output / "checkpoints").iterdir())
    weights = newest / "pieces-00000.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    again = Run(make_job(method), tmp_path / "out")
    assert again.finish() == 0, again.log.read_text()
    log = again.node_log()
    assert f"checkpoint {newest.name} is passed over: pieces-00000.safetensors has" in log
    assert f"going on after step {int(before.name.removeprefix('step-'))}" in log
    check(run.output, undisturbed(method))


def test_two_ctrl_c_stop_at_once_and_nothing_is_left_running(make_job: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run = Run(make_job("full"), tmp_path / "out")
    run.wait_for_step(3)
    processes = [*run.launchers(), *run.ranks()]
    run.interrupt()
    time.sleep(0.5)  # Two signals closer than that count as one.
    run.interrupt()
    started = time.monotonic()
    assert run.process.wait(30) != 0
    assert time.monotonic() - started < 20
    deadline = time.monotonic() + 5
    while any(p.is_running() and p.status() != "zombie" for p in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [p for p in processes if p.is_running() and p.status() != "zombie"]
    run.stop()
