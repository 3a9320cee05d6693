"""Two generations of one node never write both."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer import fence
from finetune_trainer.fence import Fenced, Generation, Token

MONDAY, TUESDAY = 1_790_000_000, 1_790_086_400


def test_the_latest_pod_of_a_node_wins(tmp_path: Path):
    first, second = Token(MONDAY, 1, "first"), Token(MONDAY, 1, "second")
    fence.claim(tmp_path, 0, first)
    fence.check(tmp_path, 0, first)
    fence.claim(tmp_path, 0, second)
    fence.check(tmp_path, 0, second)
    with pytest.raises(Fenced, match="Another pod has taken the place of node 0"):
        fence.check(tmp_path, 0, first)


def test_a_higher_attempt_of_any_node_fences_all(tmp_path: Path):
    old = Token(MONDAY, 1, "a")
    fence.claim(tmp_path, 0, old)
    fence.claim(tmp_path, 7, Token(MONDAY, 2, "b"))
    with pytest.raises(Fenced, match="Attempt 2 owns"):
        fence.check(tmp_path, 0, old)
    with pytest.raises(Fenced):
        fence.claim(tmp_path, 1, Token(MONDAY, 1, "c"))
    assert set(fence.tokens(tmp_path)) == {0, 7}, "a refused claim writes nothing"


def test_a_job_that_was_created_again_fences_all_attempts_of_the_old_one(tmp_path: Path):
    old, new = Token(MONDAY, 8, "old"), Token(TUESDAY, 0, "new")
    fence.claim(tmp_path, 0, old)
    fence.claim(tmp_path, 0, new)
    with pytest.raises(Fenced, match=r"A job that was created later \(attempt 0 of it\) owns"):
        fence.check(tmp_path, 0, old)
    with pytest.raises(Fenced):
        fence.claim(tmp_path, 1, Token(MONDAY, 9, "older still"))
    fence.check(tmp_path, 0, new)


def test_without_a_claim_nobody_may_write(tmp_path: Path):
    with pytest.raises(Fenced):
        fence.check(tmp_path, 0, Token(0, 0, "a"))


def test_the_newest_that_has_been_here(tmp_path: Path):
    assert fence.newest(tmp_path) is None
    fence.claim(tmp_path, 0, Token(MONDAY, 4, "a"))
    fence.claim(tmp_path, 1, Token(TUESDAY, 1, "a"))
    assert fence.newest(tmp_path) == Generation(TUESDAY, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8))
def test_only_the_newest_may_write(tmp_path_factory: pytest.TempPathFactory, arrivals: list[tuple[int, int, int]]):
    """Launchers (job created, attempt, node rank) arrive in any order: at the end only those of the newest generation pass."""
    state, pods = tmp_path_factory.mktemp("state"), []
    for number, (created, attempt, rank) in enumerate(arrivals):
        token = Token(created, attempt, f"pod-{number}")
        try:
            fence.claim(state, rank, token)
        except Fenced:
            continue
        pods.append((rank, token))
    newest = fence.newest(state)
    for rank, token in pods:
        latest = [other for place, other in pods if place == rank][-1]
        if token.generation == newest and token is latest:
            fence.check(state, rank, token)
        else:
            with pytest.raises(Fenced):
                fence.check(state, rank, token)
