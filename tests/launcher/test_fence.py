"""Two generations of one node never write both."""

import pytest

from finetune_trainer import fence
from finetune_trainer.fence import Fenced


def test_the_latest_pod_of_a_node_wins(tmp_path):
    fence.claim(tmp_path, 0, attempt=1, pod_uid="first")
    fence.check(tmp_path, 0, attempt=1, pod_uid="first")
    fence.claim(tmp_path, 0, attempt=1, pod_uid="second")
    fence.check(tmp_path, 0, attempt=1, pod_uid="second")
    with pytest.raises(Fenced, match="Another pod has taken the place of node 0"):
        fence.check(tmp_path, 0, attempt=1, pod_uid="first")


def test_a_higher_attempt_of_any_node_fences_all(tmp_path):
    fence.claim(tmp_path, 0, attempt=1, pod_uid="a")
    fence.claim(tmp_path, 7, attempt=2, pod_uid="b")
    with pytest.raises(Fenced, match="Attempt 2 owns"):
        fence.check(tmp_path, 0, attempt=1, pod_uid="a")
    with pytest.raises(Fenced):
        fence.claim(tmp_path, 1, attempt=1, pod_uid="c")
    assert set(fence.tokens(tmp_path)) == {0, 7}, "a refused claim writes nothing"


def test_without_a_claim_nobody_may_write(tmp_path):
    with pytest.raises(Fenced):
        fence.check(tmp_path, 0, attempt=0, pod_uid="a")


def test_next_attempt_is_one_that_nobody_has_used(tmp_path):
    assert fence.next_attempt(tmp_path) == 0
    fence.claim(tmp_path, 0, attempt=0, pod_uid="a")
    fence.claim(tmp_path, 1, attempt=4, pod_uid="a")
    assert fence.next_attempt(tmp_path) == 5
