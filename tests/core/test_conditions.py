"""Conditions, the patch that writes them, and the Events that tell of them."""

from __future__ import annotations

from typing import Any

import pytest

from core.builders import START
from core.operator_loop import merge_patch
from finetune_api.contract import Progress
from finetune_api.status import Condition, Failure, FineTuneJobStatus
from finetune_api.times import rfc3339
from finetune_operator.core.conditions import Fact, facts, holds, status_patch, updated
from finetune_operator.core.events import events
from finetune_operator.core.standing import Standing

RUNNING = Standing("Running", "NodesRunning", "Training.")
SUSPENDED = Standing("Suspended", "Suspended", "Suspended.")
DONE = Standing("Succeeded", "Completed", "Finished.")
GIVEN_UP = Standing("Failed", "UserError", "Row 7 is bad.")


def conditions_after(*standings: Standing) -> list[Condition]:
    """One a minute."""
    known: list[Condition] = []
    for minute, standing in enumerate(standings):
        known = updated(known, facts(standing, known), generation=minute, now=START + 60 * minute)
    return known


def told(conditions: list[Condition]) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in conditions}


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        ([Standing("Pending", "PodsStarting", "")], {"Running": ("False", "PodsStarting")}),
        ([RUNNING], {"Running": ("True", "NodesRunning")}),
        ([RUNNING, SUSPENDED], {"Running": ("False", "Suspended"), "Suspended": ("True", "Suspended")}),
        ([SUSPENDED, RUNNING], {"Running": ("True", "NodesRunning"), "Suspended": ("False", "NotSuspended")}),
        (
            [RUNNING, Standing("Suspending", "Suspending", "")],
            {"Running": ("False", "Suspending"), "Suspended": ("False", "Suspending")},
        ),
        (
            [RUNNING, DONE],
            {"Running": ("False", "Completed"), "Succeeded": ("True", "Completed"), "Failed": ("False", "Completed")},
        ),
        ([GIVEN_UP], {"Running": ("False", "UserError"), "Succeeded": ("False", "UserError"), "Failed": ("True", "UserError")}),
    ],
)
def test_facts_are_told_once_they_are_known(standings: list[Standing], expected: dict[str, tuple[str, str]]) -> None:
    assert told(conditions_after(*standings)) == expected


def test_the_time_of_transition_changes_with_the_status_only() -> None:
    starting, loading = Standing("Pending", "PodsStarting", "a"), Standing("Pending", "ImagePullFailed", "b")
    (same,) = conditions_after(starting, loading)
    assert (same.reason, same.last_transition_time, same.observed_generation) == ("ImagePullFailed", rfc3339(START), 1)
    (other,) = conditions_after(starting, RUNNING)
    assert other.last_transition_time == rfc3339(START + 60)


def test_conditions_that_nothing_is_said_about_stay() -> None:
    known = updated([], [Fact("Accepted", True, "Accepted")], 1, START)
    later = updated(known, facts(RUNNING, known), 2, START + 60)
    assert later[0] == known[0]
    assert holds(later, "Accepted") is True
    assert holds(later, "Failed") is None


# --- the patch --------------------------------------------------------------------------------------------------------------------

FULL = FineTuneJobStatus(
    phase="Running",
    conditions=conditions_after(RUNNING),
    attempt=3,
    progress=Progress(step=3, loss=1.0),
    last_failure=Failure(reason="OutOfMemory"),
)


def test_nothing_is_written_when_nothing_changed() -> None:
    assert status_patch(FULL, FULL.model_copy()) is None


@pytest.mark.parametrize(
    "there", [{}, {"phase": "Running", "progress": {"step": 1, "evalLoss": 3.0}, "conditions": "odd", "completionTime": "x"}]
)
@pytest.mark.parametrize("new", [FULL, FineTuneJobStatus(attempt=1)])
def test_the_patch_leads_to_the_new_status_from_whatever_is_there(there: dict[str, Any], new: FineTuneJobStatus) -> None:
    patch = status_patch(FineTuneJobStatus(message="old"), new)
    assert patch is not None
    written = merge_patch({"status": there}, patch)["status"]
    assert written["phase"] == new.phase
    assert FineTuneJobStatus.model_validate(written) == new
    assert "completionTime" not in written


def test_no_null_is_left_in_lists() -> None:
    without = FULL.conditions[0].model_copy(update={"observed_generation": None})
    patch = status_patch(FineTuneJobStatus(), FULL.model_copy(update={"conditions": [without]}))
    assert patch is not None
    assert None not in patch["status"]["conditions"][0].values()


# --- Events -----------------------------------------------------------------------------------------------------------------------


def status(phase: str = "Pending", accepted: Fact | None = None, **fields: Any) -> FineTuneJobStatus:
    return FineTuneJobStatus(phase=phase, conditions=updated([], [accepted] if accepted else [], 1, START), **fields)  # type: ignore[arg-type]


REFUSED = Fact("Accepted", False, "ClaimNotFound", "There is no claim runs.")
WARNED = Fact("Accepted", True, "Accepted", "No node of the cluster could hold it.")
KILLED = Failure(reason="OutOfMemory", message="Node 1 was killed.")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (status(), status(accepted=REFUSED), [("Warning", "Refused")]),
        (status(accepted=REFUSED), status(accepted=REFUSED), []),
        (status(accepted=REFUSED), status(accepted=Fact("Accepted", True, "Accepted")), []),
        (status(), status(accepted=WARNED), [("Warning", "NoNodeFits")]),
        (status(accepted=WARNED), status("Running", accepted=WARNED), []),
        (status(), status("Running"), []),
        (status("Running"), status("Restarting", restarts=1, last_failure=KILLED), [("Warning", "Restarting")]),
        (status("Restarting", restarts=1), status("Running", restarts=1), []),
        (status("Running"), status("Restarting", preemptions=1), [("Normal", "Preempted")]),
        (status("Suspending"), status("Suspended"), [("Normal", "Suspended")]),
        (status("Suspended"), status("Suspended"), []),
        (status("Running"), status("Succeeded"), [("Normal", "Succeeded")]),
        (status("Running"), status("Failed"), [("Warning", "Failed")]),
    ],
)
def test_an_event_for_each_thing_worth_one(old: FineTuneJobStatus, new: FineTuneJobStatus, expected: list[tuple[str, str]]) -> None:
    assert [(event.type, event.reason) for event in events(old, new)] == expected


def test_a_restart_says_why() -> None:
    (event,) = events(status(), status("Restarting", restarts=2, last_failure=KILLED))
    assert event.message == "Restart 2: Node 1 was killed."
