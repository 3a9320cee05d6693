"""A partial manifest merged into another."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_operator.core.render.merge import merge

effects = st.sampled_from(["NoSchedule", "NoExecute"])
tolerations = st.lists(
    st.fixed_dictionaries({"key": st.sampled_from("abc"), "effect": effects, "tolerationSeconds": st.integers()}),
    unique_by=lambda entry: (entry["key"], entry["effect"]),
)
manifests = st.fixed_dictionaries(
    {},
    optional={
        "tolerations": tolerations,
        "nodeSelector": st.dictionaries(st.sampled_from("abc"), st.text()),
        "schedulerName": st.text(),
        "command": st.lists(st.text()),
    },
)


def test_objects_are_merged_and_the_rest_is_replaced():
    ours = {"securityContext": {"runAsUser": 1000, "runAsNonRoot": True}, "command": ["a", "b"], "priority": 1}
    theirs = {"securityContext": {"runAsUser": 5}, "command": ["c"]}
    assert merge(ours, theirs) == {"securityContext": {"runAsUser": 5, "runAsNonRoot": True}, "command": ["c"], "priority": 1}


def test_an_entry_takes_the_place_of_the_same_thing():
    lost, other = {"key": "lost", "effect": "NoExecute"}, {"key": "other", "effect": "NoExecute"}
    theirs = [lost, {"operator": "Exists"}]
    merged = merge({"tolerations": [lost | {"tolerationSeconds": 60}, other]}, {"tolerations": theirs})
    assert merged["tolerations"] == [other, *theirs]


def test_what_stands_twice_in_a_job_is_left_for_the_api_server_to_refuse():
    twice = [{"name": "a", "mountPath": "/x"}, {"name": "b", "mountPath": "/x"}]
    assert merge({"volumeMounts": []}, {"volumeMounts": twice})["volumeMounts"] == twice


@given(ours=manifests, theirs=manifests)
def test_nothing_gets_lost_and_a_second_time_changes_nothing(ours: dict[str, Any], theirs: dict[str, Any]):
    once = merge(ours, theirs)
    assert set(once) == set(ours) | set(theirs)
    for toleration in theirs.get("tolerations", []):
        assert toleration in once["tolerations"]
    kept = {(entry["key"], entry["effect"]) for entry in once.get("tolerations", [])}
    assert kept == {(entry["key"], entry["effect"]) for each in (ours, theirs) for entry in each.get("tolerations", [])}
    assert merge(once, theirs) == once


@given(ours=manifests, theirs=manifests)
def test_neither_side_is_changed(ours: dict[str, Any], theirs: dict[str, Any]):
    before = (repr(ours), repr(theirs))
    merge(ours, theirs)
    assert (repr(ours), repr(theirs)) == before
