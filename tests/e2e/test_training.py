"""Training on two nodes: to the end, through every disturbance that is not the cluster's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from trained import nothing_lost_or_done_twice, steps, weights_sha256

from .conftest import Installed
from .jobs import EPOCHS, KILL_A_RANK, SAMPLES, SAVE_STEPS, STEPS, training
from .world import World

pytestmark = pytest.mark.e2e


def exactly_once(output: Path) -> None:
    nothing_lost_or_done_twice(output, total_steps=STEPS, epochs=EPOCHS, samples=SAMPLES)


def same_bits(output: Path, undisturbed: World) -> None:
    exactly_once(output)
    assert weights_sha256(output) == weights_sha256(undisturbed.output("calm"))


#: Well behind the first checkpoint, well before the end.
DISTURB_AT = 2 * SAVE_STEPS + 3


def test_a_job_trains_on_two_nodes(undisturbed: World) -> None:
    status, output = undisturbed.status("calm"), undisturbed.output("calm")
    assert status["progress"]["step"] == status["progress"]["totalSteps"] == STEPS
    assert status["summary"]["step"] == f"{STEPS}/{STEPS}"
    assert status["progress"]["loss"] == pytest.approx(steps(output)[-1]["loss"])
    assert (status["restarts"], status["attempt"]) == (0, 0)
    assert status["output"] == "pvc://shared/calm"
    assert undisturbed.condition("calm", "Succeeded")["status"] == "True"
    nodes = {pod.spec.node_name for pod in undisturbed.pods("calm")}
    assert len(nodes) == 2
    assert undisturbed.events("calm") == ["Succeeded"]
    exactly_once(output)


def test_suspended_and_resumed_it_loses_no_step(world: World, undisturbed: World) -> None:
    world.apply(training("break"))
    world.until_step("break", DISTURB_AT)
    world.patch("break", suspend=True)
    status = world.until_phase("break", "Suspended")
    assert all(pod.status.phase in ("Succeeded", "Failed") for pod in world.pods("break"))
    reached = len(steps(world.output("break")))
    assert status["progress"]["lastCheckpointStep"] == reached
    world.patch("break", suspend=False)
    status = world.until_phase("break", "Succeeded")
    assert (status["restarts"], status["attempt"]) == (0, 1)
    log = steps(world.output("break"))
    assert next(line["current_steps"] for line in log if line["attempt"] == 1) == reached + 1
    same_bits(world.output("break"), undisturbed)


def test_toggled_again_and_again_never_two_generations_write(world: World, undisturbed: World) -> None:
    world.apply(training("toggle"))
    world.until_step("toggle", SAVE_STEPS)
    for _ in range(5):
        world.patch("toggle", suspend=True)
        world.patch("toggle", suspend=False)
    world.until_phase("toggle", "Succeeded")
    same_bits(world.output("toggle"), undisturbed)


def test_a_failing_rank_restarts_the_gang(world: World, undisturbed: World) -> None:
    world.apply(training("gang"))
    world.until_step("gang", DISTURB_AT)
    pod = next(pod for pod in world.pods("gang") if pod.metadata.labels["batch.kubernetes.io/job-completion-index"] == "1")
    world.execute(pod.metadata.name, "python", "-c", KILL_A_RANK)
    status = world.until_phase("gang", "Succeeded")
    assert status["restarts"] == 1
    assert status["lastFailure"]["rank"] == 1
    assert status["lastFailure"]["pod"] == pod.metadata.name
    assert "Restarting" in world.events("gang")
    same_bits(world.output("gang"), undisturbed)


def test_a_users_error_is_not_retried(world: World) -> None:
    (world.shared / "pairs.jsonl").write_text('{"instruction": "no answer"}\n')
    world.apply(training("wrong"))
    status = world.until_phase("wrong", "Failed")
    assert (status["restarts"], status["attempt"]) == (0, 0)
    assert status["lastFailure"]["reason"] == "BadDataRow"
    assert "pairs.jsonl" in status["message"]


def test_deleted_while_it_runs(world: World) -> None:
    world.apply(training("gone"))
    world.until_step("gone", DISTURB_AT)
    world.delete("gone")
    world.until("children collected", lambda: not world.children("gone") and not world.pods("gone"))
    assert steps(world.output("gone"))


def test_deleted_and_created_again_it_goes_on(world: World, undisturbed: World) -> None:
    world.apply(training("again"))
    world.until_step("again", DISTURB_AT)
    world.delete("again")
    world.until("deleted", lambda: not world.exists("again"))
    world.apply(training("again"))
    world.until_phase("again", "Succeeded")
    same_bits(world.output("again"), undisturbed)


def test_two_jobs_side_by_side(world: World, undisturbed: World) -> None:
    for name in ("left", "right"):
        world.apply(training(name))
    for name in ("left", "right"):
        world.until_phase(name, "Succeeded")
        same_bits(world.output(name), undisturbed)


def test_the_operator_may_be_killed_at_any_moment(installed: Installed, world: World, undisturbed: World) -> None:
    world.apply(training("shaken"))
    for step in (0, 1, DISTURB_AT):
        world.until_step("shaken", step) if step else None
        installed.kill_operator()
    world.patch("shaken", suspend=True)
    installed.kill_operator()
    world.until_phase("shaken", "Suspended")
    installed.kill_operator()
    world.patch("shaken", suspend=False)
    status = world.until_phase("shaken", "Succeeded")
    assert (status["restarts"], status["attempt"]) == (0, 1)
    same_bits(world.output("shaken"), undisturbed)
