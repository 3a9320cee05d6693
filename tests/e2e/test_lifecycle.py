"""Deadlines, refusals and pods that do not start, with jobs that bring their own command."""

from __future__ import annotations

import pytest

from .jobs import own, training
from .world import World

pytestmark = pytest.mark.e2e

#: How soon a user is told what is wrong.
SOON = 45.0


def test_deadline(world: World) -> None:
    policy = {"activeDeadlineSeconds": 8, "gracefulStopSeconds": 2}
    world.apply(own("late", "sleep", "600", runPolicy=policy))
    world.until_phase("late", "Failed", seconds=90)
    assert world.condition("late", "Failed")["reason"] == "DeadlineExceeded"
    assert all(pod.status.phase != "Running" for pod in world.pods("late"))


def test_finished_jobs_go_after_their_time(world: World) -> None:
    world.apply(own("brief", "true", runPolicy={"ttlSecondsAfterFinished": 3}))
    world.until("the job gone", lambda: not world.exists("brief"), 90)
    world.until("children collected", lambda: not world.children("brief") and not world.pods("brief"))


def test_charged_restarts_end(world: World) -> None:
    world.apply(own("broken", "false", nodes=1, runPolicy={"maxRestarts": 1}))
    status = world.until_phase("broken", "Failed", seconds=90)
    assert (status["restarts"], status["attempt"]) == (1, 1)
    assert world.condition("broken", "Failed")["reason"] == "MaxRestartsExceeded"


def test_an_image_that_is_not_there(world: World) -> None:
    world.apply(own("typo", "true", trainer={"image": "localhost/no-such-image:1"}))
    world.until("told", lambda: "no-such-image" in world.status("typo").get("message", ""), SOON)
    assert world.status("typo")["phase"] == "Pending"


def test_a_claim_that_is_not_there(world: World) -> None:
    world.apply(training("lost") | {"spec": training("lost")["spec"] | {"output": _output("nowhere")}})
    world.until("refused", lambda: world.condition("lost", "Accepted").get("status") == "False", SOON)
    assert world.condition("lost", "Accepted")["reason"] == "ClaimNotFound"
    assert "nowhere" in world.status("lost")["message"]
    assert not world.children("lost")
    assert world.events("lost") == ["Refused"]


def test_a_request_that_no_node_can_satisfy(world: World) -> None:
    world.apply(own("huge", "true", resources={"requests": {"cpu": "1000"}}))
    world.until("told", lambda: "cpu" in world.status("huge").get("message", ""), SOON)
    assert world.status("huge")["phase"] == "Pending"
    assert "NoNodeFits" in world.events("huge")


def _output(claim: str) -> dict[str, object]:
    return {"volume": {"persistentVolumeClaim": {"claimName": claim}}}
