"""What the cache believes when events, lists and answers arrive in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_operator.core.model import JobKey, Manifest
from finetune_operator.shell.cache import Cache, uid_of
from finetune_operator.shell.kube import Listed
from finetune_operator.shell.resources import FINETUNE_JOBS, JOBS, PODS, Resource

KEY = JobKey("n", "a")


def thing(uid: str, version: int, *, name: str = "a", attempt: int = 0, **more: Any) -> Manifest:
    labels = {"finetune.dev/job": "a", "finetune.dev/attempt": str(attempt)}
    metadata = {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, **more}


def ended(uid: str, version: int, attempt: int = 0) -> Manifest:
    return thing(uid, version, attempt=attempt, status={"containerStatuses": [{"state": {"terminated": {"exitCode": 64}}}]})


def held(cache: Cache, resource: Resource) -> dict[str, int]:
    family = cache.family(KEY)
    found = family.held(resource) if family else {}
    return {uid: int(manifest["metadata"]["resourceVersion"]) for uid, manifest in found.items()}


def test_an_older_state_is_no_news():
    cache = Cache()
    assert cache.watched(PODS, thing("p", 5))
    assert not cache.watched(PODS, thing("p", 4))
    assert not cache.watched(PODS, thing("p", 5))
    assert cache.watched(PODS, thing("p", 6))
    assert held(cache, PODS) == {"p": 6}


def test_an_answer_is_known_before_its_event():
    cache = Cache()
    assert cache.answered(JOBS, thing("j", 7))
    assert held(cache, JOBS) == {"j": 7}
    assert not cache.watched(JOBS, thing("j", 7))


def test_a_late_answer_brings_nothing_back():
    cache = Cache()
    cache.watched(JOBS, thing("j", 7))
    cache.watched(JOBS, thing("j", 9), deleted=True)
    assert not cache.answered(JOBS, thing("j", 7))
    assert not cache.answered(JOBS, thing("j", 8))
    assert cache.family(KEY) is None


def test_a_list_removes_what_the_watch_forgot_to_end():
    cache = Cache()
    cache.watched(PODS, thing("p", 3))
    cache.watched(PODS, thing("q", 9))
    assert cache.listed(PODS, Listed([], 6)) == {KEY}
    assert held(cache, PODS) == {"q": 9}  # Newer than the list.


def test_a_list_of_one_name_leaves_the_others_alone():
    cache = Cache()
    cache.watched(FINETUNE_JOBS, thing("j", 3, name="b"))
    cache.watched(PODS, thing("p", 3))
    cache.listed(FINETUNE_JOBS, Listed([], 6), "n", "a")
    cache.listed(PODS, Listed([], 6), "m")
    assert [*cache.finetune_jobs()] and held(cache, PODS) == {"p": 3}


def test_a_late_list_brings_nothing_back():
    cache = Cache()
    cache.watched(PODS, thing("p", 3))
    cache.watched(PODS, thing("p", 9), deleted=True)
    assert cache.listed(PODS, Listed([thing("p", 3)], 6)) == set()
    assert cache.family(KEY) is None


@given(st.data())
def test_whatever_the_order_the_truth_wins(data: st.DataObject):
    """A history of pods, seen by the watch (which may lose ends, as kopf's does) and by lists that arrive late."""
    steps = data.draw(st.lists(st.sampled_from("pqr"), min_size=1, max_size=12))
    there: dict[str, int] = {}
    states: list[dict[str, int]] = [{}]
    cache = Cache()
    pending: list[Listed] = []
    for version, uid in enumerate(steps, start=1):
        deleted = uid in there and data.draw(st.booleans())
        lost = deleted and data.draw(st.booleans())
        there = {**there, uid: version}
        if deleted:
            del there[uid]
        states.append(there)
        if data.draw(st.booleans()):
            read_at = data.draw(st.integers(max(0, version - 2), version))
            pending.append(Listed([thing(each, rv) for each, rv in states[read_at].items()], read_at))
        if not lost:
            cache.watched(PODS, thing(uid, version), deleted)
        while pending and data.draw(st.booleans()):
            cache.listed(PODS, pending.pop(0))
    for listed in pending:
        cache.listed(PODS, listed)
    cache.listed(PODS, Listed([thing(uid, version) for uid, version in there.items()], len(steps)))
    assert held(cache, PODS) == there


def test_what_ended_and_vanished_is_remembered_until_the_next_attempt():
    cache = Cache()
    cache.watched(FINETUNE_JOBS, thing("f", 1))
    cache.watched(JOBS, thing("j0", 2, attempt=0))
    cache.watched(PODS, thing("silent", 3))
    cache.watched(PODS, ended("p", 4))
    cache.watched(PODS, ended("q", 5))
    cache.watched(PODS, thing("silent", 6), deleted=True)
    cache.watched(PODS, ended("p", 7), deleted=True)
    cache.listed(PODS, Listed([], 8))
    family = cache.family(KEY)
    assert family is not None and {*family.gone} == {"p", "q"} and not family.pods
    cache.watched(JOBS, thing("j1", 9, attempt=1))
    assert not family.gone


def test_a_job_of_the_same_name_starts_anew():
    cache = Cache()
    cache.watched(FINETUNE_JOBS, thing("f", 1))
    cache.watched(FINETUNE_JOBS, thing("other", 2, name="b"))
    cache.watched(PODS, ended("p", 3))
    cache.watched(PODS, ended("p", 4), deleted=True)
    cache.watched(FINETUNE_JOBS, thing("g", 5))
    assert not cache.watched(FINETUNE_JOBS, thing("f", 6), deleted=True)  # Its end comes after its successor's beginning.
    assert [uid_of(manifest) for manifest in cache.finetune_jobs("n")] == ["other", "g"]
    family = cache.family(KEY)
    assert family is not None and not family.gone


def test_only_what_is_read_is_held():
    cache = Cache()
    pod = thing("p", 1, spec={"nodeName": "node", "containers": [{"env": [{"name": "TOKEN", "value": "x"}]}]})
    pod["metadata"]["managedFields"] = [{}]
    cache.watched(PODS, pod)
    cache.watched(JOBS, thing("j", 2, spec={"suspend": True, "template": {}}))
    family = cache.family(KEY)
    assert family is not None and family.pods["p"]["spec"] == {"nodeName": "node"} and family.jobs["j"]["spec"] == {"suspend": True}
    assert "managedFields" not in family.pods["p"]["metadata"]
    assert pod["metadata"]["managedFields"] == [{}]
