"""What follows an attempt that did not complete: whose failure it was, whether it is charged, and when the next one may start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.builders import NAME, START, disrupted, failed, gone, over, pending, running, stopped, succeeded, told_to_leave
from finetune_api.pod_trouble import Trouble
from finetune_api.restart import Decision
from finetune_api.spec import RunPolicy
from finetune_api.status import Failure
from finetune_operator.core.model import Attempt, Pod
from finetune_operator.core.policies.failure import failure
from finetune_operator.core.policies.restart import decision, history_after, not_before

POLICY = RunPolicy(max_restarts=3)
CHARGED = Decision("retry", True, "Failed")
FREE = Decision("retry", False, "Preempted")
USER_ERROR = Decision("fail", False, "UserError")


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        # The failed pod stays, its peers are stopped by the Job controller.
        ([failed(0, 1), gone(told_to_leave(failed(1, 143)))], CHARGED),
        ([failed(0, 137, kubelet="OOMKilled"), gone(told_to_leave(running(1)))], CHARGED),
        ([failed(0, 75, "PeerLost"), failed(1, 75, "RankFailed")], CHARGED),
        ([failed(0, 76, "Stalled"), gone(running(1))], Decision("retry", True, "Stalled")),
        # The most severe one decides, also when it was seen in the watch only.
        ([failed(0, 75, "PeerLost"), gone(told_to_leave(failed(1, 64, "BadDataRow")))], USER_ERROR),
        ([failed(0, 1), failed(1, 64, "BadDataRow")], USER_ERROR),
        ([failed(0, 78, "Fenced"), failed(1, 64, "BadDataRow")], Decision("fail", False, "Fenced")),
        # Saved and left on request.
        ([failed(0, 77, "Stopped"), failed(1, 77, "Stopped")], FREE),
        # Taken away by Kubernetes.
        ([], FREE),
        ([gone(running(0)), gone(running(1))], FREE),
        ([gone(disrupted(failed(0, 143))), failed(1, 75, "PeerLost")], FREE),
        ([gone(disrupted(running(0))), failed(1, 75, "PeerLost")], FREE),
        ([gone(disrupted(failed(0, 137))), failed(1, 1)], CHARGED),
        # Told to leave, and gone without a word: that is what SIGTERM and SIGKILL look like.
        ([gone(told_to_leave(failed(0, 143))), gone(told_to_leave(failed(1, 137)))], FREE),
        # Nobody succeeds alone.
        ([succeeded(0), gone(running(1))], FREE),
        ([succeeded(0), failed(1, 1)], CHARGED),
        # The node refused the pod: there is no exit code.
        ([failed(0, 0, exit=None, trouble=Trouble("OutOfcpu", "No room.")), gone(pending(1))], CHARGED),
    ],
)
def test_decision(pods: Sequence[Pod], expected: Decision) -> None:
    assert decision(over(0, *pods), POLICY, known=None) == expected


def test_restarts_come_to_an_end() -> None:
    crashed = over(3, failed(0, 1), restarts=3)
    assert decision(crashed, POLICY, None) == Decision("fail", False, "MaxRestartsExceeded")
    assert decision(crashed, RunPolicy(max_restarts=4), None) == CHARGED


def test_preemptions_are_not_counted_as_restarts() -> None:
    assert decision(over(9, failed(0, 77, "Stopped"), restarts=3, preemptions=20), POLICY, None) == FREE


@pytest.mark.parametrize("pods", [[], [gone(told_to_leave(failed(0, 137)))], [failed(0, 75, "StopTimedOut")], [succeeded(0)]])
def test_a_stopped_attempt_is_a_pause(pods: Sequence[Pod]) -> None:
    assert decision(stopped(0, *pods), POLICY, None).action == "pause"


def test_a_user_error_is_final_although_the_attempt_was_stopped() -> None:
    assert decision(stopped(0, failed(1, 64, "BadDataRow")), POLICY, None) == USER_ERROR


def test_what_an_earlier_operator_saw_still_counts() -> None:
    """It wrote the failure into the status, and only the pod that noticed it is left."""
    known = failure(over(0, gone(failed(1, 64, "BadDataRow"))), None)
    left = over(0, failed(0, 75, "PeerLost"))
    assert decision(left, POLICY, known) == USER_ERROR
    known = failure(over(0, gone(disrupted(running(1), "NodeLost"))), None)
    assert decision(left, POLICY, known) == FREE


def test_the_failure_of_an_earlier_attempt_does_not_count() -> None:
    known = failure(over(0, failed(1, 64, "BadDataRow")), None)
    assert decision(over(1, failed(0, 1, attempt=1)), POLICY, known) == CHARGED


# --- counters and delays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "restarts", "preemptions"),
    [(CHARGED, 3, 5), (FREE, 2, 6), (USER_ERROR, 2, 5), (Decision("pause", False, "Stopped"), 2, 5)],
)
def test_counters(decided: Decision, restarts: int, preemptions: int) -> None:
    ended = over(7, restarts=2, preemptions=5, ran_seconds=1000.0)
    assert history_after(ended, decided, now=START + 500) == (7, restarts, preemptions, 1000.0 + 119)


@pytest.mark.parametrize(("restarts", "delay"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (500, 30)])
def test_charged_restarts_wait_longer_each_time(restarts: int, delay: float) -> None:
    assert not_before(over(9, restarts=restarts), CHARGED) == START + 120 + delay


def test_after_a_disruption_it_goes_on_at_once_unless_that_happens_within_a_minute() -> None:
    assert not_before(over(9, preemptions=4, after=120), FREE) == START + 120
    assert not_before(over(9, preemptions=4, after=20), FREE) == START + 20 + 8


def test_resuming_needs_no_delay() -> None:
    assert not_before(stopped(9, restarts=5), Decision("pause", False, "Stopped")) == START + 120


# --- why --------------------------------------------------------------------------------------------------------------------------


def why(ended: Attempt, known: Failure | None = None) -> Failure:
    found = failure(ended, known)
    assert found is not None
    return found


def test_the_first_of_the_most_severe_failures_explains() -> None:
    ended = over(0, failed(0, 75, "PeerLost", at=90), failed(1, 1, "RankFailed", at=100), failed(2, 1, "OutOfMemory", at=99))
    found = why(ended)
    assert found == Failure(
        pod=f"{NAME}-0-2-abcde", rank=16, node="worker-2", exit_code=1, reason="OutOfMemory", message="Rank 16: OutOfMemory."
    )


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        (failed(1, 137, kubelet="OOMKilled"), "OutOfMemory", ["Node 1", "more memory", "resources.limits.memory"]),
        (failed(1, 137), "Killed", ["exit code 137", "resources.limits.memory", "resources.requests.memory"]),
        (failed(1, 2), "Error", ["exit code 2", "kubectl logs"]),
        (failed(1, 2, log="KeyError: 'text'"), "Error", ["exit code 2", "KeyError: 'text'"]),
        (failed(1, 128, kubelet="StartError"), "StartError", ["exit code 128"]),
        (failed(1, 0, exit=None, trouble=Trouble("Evicted", "Too much of /dev/shm.")), "Evicted", ["Too much of /dev/shm."]),
        (failed(1, 0, exit=None), "PodFailed", ["Node 1"]),
        (gone(disrupted(failed(1, 143), "NodeLost")), "NodeLost", ["It was evicted."]),
    ],
)
def test_pods_that_said_nothing(pod: Pod, reason: str, words: list[str]) -> None:
    found = why(over(0, pod))
    assert found.reason == reason
    assert all(word in found.message for word in words), found.message


def test_no_failed_pod_is_left() -> None:
    found = why(over(2, gone(running(0, 2))))
    assert (found.reason, found.pod) == ("Disrupted", None)
    assert "attempt 2" in found.message


def test_peers_that_did_as_they_were_told_explain_nothing() -> None:
    assert why(over(0, gone(told_to_leave(failed(0, 143, at=1))), failed(1, 1, "RankFailed", at=2))).rank == 8


def test_a_disruption_is_told_while_the_pod_still_leaves() -> None:
    found = why(replace(over(0, disrupted(running(0), "Preempted"), running(1)), state="active"))
    assert (found.reason, found.exit_code) == ("Preempted", None)


def test_an_attempt_that_goes_well_keeps_what_is_known() -> None:
    known = Failure(reason="OutOfMemory", pod=f"{NAME}-0-0-abcde")
    assert failure(replace(over(1, running(0, 1)), state="active"), known) == known
    assert failure(replace(over(1, running(0, 1)), state="active"), None) is None


def test_leaving_on_the_operators_request_is_no_failure() -> None:
    assert failure(stopped(0, gone(told_to_leave(failed(0, 77, "Stopped"))), gone(told_to_leave(failed(1, 137)))), None) is None


def test_a_node_that_could_not_save_in_time_is_worth_a_word() -> None:
    assert why(stopped(0, gone(told_to_leave(failed(0, 75, "StopTimedOut"))))).reason == "StopTimedOut"


def test_what_is_known_gives_way_only_to_something_worse() -> None:
    known = why(over(0, gone(failed(0, 64, "BadDataRow", at=90))))
    assert why(over(0, failed(1, 1, "RankFailed", at=50)), known) == known
    echo = why(over(0, failed(0, 75, "PeerLost", at=50)))
    assert why(over(0, failed(0, 75, "PeerLost", at=50), failed(1, 75, "RankFailed", at=60)), echo).reason == "RankFailed"


def test_long_words_are_cut_to_what_the_api_takes() -> None:
    found = why(over(0, failed(0, 1, log="x" * 9000)))
    assert len(found.message) == 4096
