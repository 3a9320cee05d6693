"""Whole lives of a job in the simulated cluster, without surprises."""

from __future__ import annotations

from typing import Any

import pytest

from core.builders import START, raw_job
from core.operator_loop import Mishap, OperatorLoop
from core.simulator import Cluster, attempts
from finetune_api.contract import ExitCode


class Life:
    """A job, its cluster and its operator."""

    def __init__(self, **policy: Any) -> None:
        self.cluster = Cluster(raw_job(**policy))
        self.operator = OperatorLoop(self.cluster)
        self.operator.catch_up()

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.cluster.finetunejob["status"]
        return status

    def goes_on(self, until: str) -> str:
        """The phases that the job goes through until it is in the phase `until`."""
        phases: list[str] = []
        for _ in range(60):
            self.operator.catch_up()
            self.operator.reconcile()
            if not phases or phases[-1] != self.status["phase"]:
                phases.append(self.status["phase"])
            if phases[-1] == until:
                return " ".join(phases)
            self.cluster.go_on()
        raise AssertionError(f"{phases} and never {until}")

    def node(self, rank: int) -> str:
        """The pod of a node of the newest attempt."""
        newest = max(attempts(self.cluster))[1]
        return next(pod["metadata"]["name"] for pod in self.cluster.pods_of(newest) if f"-{rank}-" in pod["metadata"]["name"][-8:])

    def fails(self, rank: int, code: int, says: str | None = None) -> None:
        self.cluster.end(self.node(rank), code, says)


def test_a_life_without_trouble() -> None:
    life = Life()
    assert life.goes_on("Running") == "Pending Running"
    life.cluster.finish()
    assert life.goes_on("Succeeded") == "Running Succeeded"
    assert (life.status["attempt"], life.status["restarts"], life.status["preemptions"]) == (0, 0, 0)
    assert [number for number, _ in attempts(life.cluster)] == [0]


@pytest.mark.parametrize("mishap", ["dies before acting", "dies while acting", "dies before writing", "write refused"])
@pytest.mark.parametrize("when", range(6))
def test_an_operator_that_has_trouble_changes_nothing(mishap: Mishap, when: int) -> None:
    life = Life()
    for second in range(6):
        life.operator.catch_up()
        life.operator.reconcile(mishap if second == when else "nothing")
        life.cluster.go_on()
        if second == 3:
            life.cluster.finish()
    life.goes_on("Succeeded")
    assert (life.status["attempt"], life.status["restarts"], life.status["preemptions"]) == (0, 0, 0)
    assert [(one["type"], one["status"]) for one in life.status["conditions"]] == [
        ("Accepted", "True"),
        ("Running", "False"),
        ("Succeeded", "True"),
        ("Failed", "False"),
    ]


def test_suspended_and_resumed_again_and_again() -> None:
    life = Life(maxRestarts=0)
    for _ in range(5):
        life.goes_on("Running")
        life.cluster.change_policy(suspend=True)
        assert life.goes_on("Suspended") == "Suspending Suspended"
        assert life.cluster.running() == []
        life.cluster.change_policy(suspend=False)
    life.goes_on("Running")
    life.cluster.finish()
    life.goes_on("Succeeded")
    assert (life.status["attempt"], life.status["restarts"], life.status["preemptions"]) == (5, 0, 0)
    assert "lastFailure" not in life.status
    assert [number for number, _ in attempts(life.cluster)] == [3, 4, 5], "logs of the newest three are kept"


def test_a_crash_and_a_lost_node() -> None:
    life = Life()
    life.goes_on("Running")
    life.fails(1, ExitCode.RETRYABLE, "OutOfMemory")
    assert life.goes_on("Restarting") == "Running Restarting"
    assert life.goes_on("Running") == "Restarting Running"
    assert (life.status["restarts"], life.status["lastFailure"]["reason"]) == (1, "OutOfMemory")
    life.cluster.take_away(life.node(0), "DeletionByTaintManager")
    life.goes_on("Restarting")
    life.goes_on("Running")
    assert (life.status["restarts"], life.status["preemptions"]) == (1, 1)
    assert life.status["lastFailure"]["reason"] == "NodeLost"


def test_given_up_after_the_last_restart() -> None:
    life = Life(maxRestarts=2)
    for _ in range(3):
        life.goes_on("Running")
        life.fails(0, ExitCode.STALLED, "Stalled")
        life.goes_on("Failed" if life.status["restarts"] == 2 else "Restarting")
    assert (life.status["attempt"], life.status["restarts"]) == (2, 2)


def test_the_deadline_counts_only_time_in_which_attempts_run() -> None:
    life = Life(activeDeadlineSeconds=40, gracefulStopSeconds=10)
    life.goes_on("Running")
    life.cluster.change_policy(suspend=True)
    life.goes_on("Suspended")
    life.cluster.now += 100_000
    life.cluster.change_policy(suspend=False)
    life.goes_on("Running")
    assert life.goes_on("Failed") == "Running Failed"
    assert life.status["conditions"][-1]["reason"] == "DeadlineExceeded"
    assert life.cluster.now - START - 100_000 < 45


def test_deleted_after_its_time_to_live() -> None:
    life = Life(ttlSecondsAfterFinished=30)
    life.goes_on("Running")
    life.cluster.finish()
    life.goes_on("Succeeded")
    for _ in range(31):
        life.cluster.go_on()
        life.operator.catch_up()
        life.operator.reconcile()
    assert life.cluster.all("FineTuneJob") == []
