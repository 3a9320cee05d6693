"""Who may take the Lease of the replicas."""

from __future__ import annotations

from finetune_operator.core.lease import DEADLINE_SECONDS, DURATION_SECONDS, PERIOD_SECONDS, held, may_take, released

NOW, LATER = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:02.000000Z"


def test_a_holder_that_is_silent_has_stopped_before_another_begins():
    lease = {"spec": held({}, "a", NOW)}
    assert not may_take(lease, "b", DEADLINE_SECONDS + PERIOD_SECONDS)
    assert may_take(lease, "b", DURATION_SECONDS)
    assert may_take(lease, "a", 0)  # The same pod, whose container was started again.


def test_a_new_or_a_released_lease_is_anybodys():
    assert may_take({}, "b", 0)
    assert may_take({"spec": released({"spec": held({}, "a", NOW)}, LATER)}, "b", 0)


def test_what_a_holder_writes():
    first = held({}, "a", NOW)
    renewed = held({"spec": first}, "a", LATER)
    taken = held({"spec": renewed}, "b", LATER)
    assert first["leaseTransitions"] == 0 and first["acquireTime"] == NOW
    assert renewed == {**first, "renewTime": LATER}
    assert (taken["holderIdentity"], taken["leaseTransitions"], taken["acquireTime"]) == ("b", 1, LATER)
