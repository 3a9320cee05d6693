"""When ranks are killed: a table of moments."""

import pytest

from finetune_trainer.launcher.stall import silent
from finetune_trainer.launcher.supervise import EXIT_GRACE, PEER_FAILED_GRACE, RANK_FAILED_GRACE, Limits, View, interruption

LIMITS = Limits(stall_timeout=100, graceful_stop=20)
NOW = 1000.0


@pytest.mark.parametrize(
    ("expected", "facts"),
    [
        (None, {}),
        ("Stalled", {"beats": {0: NOW - 101, 1: NOW - 1}}),
        (None, {"beats": {0: NOW - 99, 1: NOW - 1}}),
        (None, {"beats": {0: None}, "started_at": NOW - 99}),
        ("Stalled", {"beats": {0: None}, "started_at": NOW - 101}),
        (None, {"stop_requested_at": NOW - 19}),
        ("StopTimedOut", {"stop_requested_at": NOW - 21}),
        ("StoppedAtOnce", {"stop_requested_at": NOW - 2, "stop_at_once": True}),
        (None, {"rank_failed_at": NOW - RANK_FAILED_GRACE + 0.1}),
        ("RankFailed", {"rank_failed_at": NOW - RANK_FAILED_GRACE - 0.1}),
        (None, {"peer_failed_at": NOW - PEER_FAILED_GRACE + 0.1}),
        ("PeerFailed", {"peer_failed_at": NOW - PEER_FAILED_GRACE - 0.1}),
        ("Lingering", {"all_done_at": NOW - EXIT_GRACE - 0.1, "beats": {}}),
        (None, {"all_done_at": NOW - 1, "beats": {}, "peer_failed_at": NOW - 50, "stop_requested_at": NOW - 50}),
    ],
)
def test_interruption(expected, facts):
    assert interruption(View(**{"now": NOW, "started_at": 0.0, "beats": {0: NOW - 1}, **facts}), LIMITS) == expected


def test_a_beat_from_before_the_start_does_not_count():
    assert silent(NOW, NOW - 5, {"prepare": NOW - 500}, 10) == ()
