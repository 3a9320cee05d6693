"""Troubles of pods in words."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_api.pod_trouble import trouble


def pending(**status: Any) -> dict[str, Any]:
    return {"status": {"phase": "Pending", **status}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    waiting = {"reason": reason, "message": message}
    return pending(containerStatuses=[{"name": "trainer", "image": "example.com/trainer:typo", "state": {"waiting": waiting}}])


def test_most_pods_have_none() -> None:
    assert trouble({"status": {}}) is None
    assert trouble(pending()) is None
    assert trouble(waits("ContainerCreating")) is None
    assert trouble({"status": {"phase": "Running"}}, mount_message="an old one") is None


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        (
            pending(
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available."}
                ]
            ),
            "PodUnschedulable",
            ["cannot be scheduled", "0/3 nodes are available", "resources"],
        ),
        (waits("ErrImagePull", "not found"), "ImagePullFailed", ["example.com/trainer:typo", "not found", "name and tag"]),
        (waits("InvalidImageName", "bad format"), "ImagePullFailed", ["bad format"]),
        (waits("CreateContainerConfigError", 'secret "hf" not found'), "ContainerConfigInvalid", ['secret "hf" not found']),
        (waits("CreateContainerError", "no such file"), "ContainerNotCreated", ["no such file", "trainer.command"]),
        ({"status": {"phase": "Failed", "reason": "OutOfcpu", "message": "Node had no room."}}, "OutOfcpu", ["Node had no room"]),
    ],
)
def test_reason_and_words(pod: dict[str, Any], reason: str, words: list[str]) -> None:
    found = trouble(pod)
    assert found is not None
    assert found.reason == reason
    assert all(word in found.message for word in words), found.message


def test_a_gate_is_no_trouble() -> None:
    assert trouble(pending(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}])) is None


def test_a_volume_that_does_not_mount() -> None:
    found = trouble(pending(), mount_message='MountVolume.SetUp failed for volume "scripts" : configmap "scripts" not found')
    assert found is not None
    assert found.reason == "VolumeNotMounted"
    assert 'configmap "scripts" not found' in found.message


def test_the_text_stays_while_the_kubelet_tries_again() -> None:
    error = trouble(waits("ErrImagePull", "failed to pull: not found"))
    again = trouble(
        waits("ImagePullBackOff", 'Back-off pulling image "example.com/trainer:typo": ErrImagePull: failed to pull: not found')
    )
    assert error == again


def test_back_off_without_a_cause_is_not_quoted() -> None:
    found = trouble(waits("ImagePullBackOff", 'Back-off pulling image "example.com/trainer:typo"'))
    assert found is not None
    assert "Back-off" not in found.message


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("PreemptionByScheduler", "Preempted"),
        ("DeletionByTaintManager", "NodeLost"),
        ("EvictionByEvictionAPI", "Evicted"),
        ("TerminationByKubelet", "Evicted"),
        ("SomethingNew", "Disrupted"),
    ],
)
def test_disruptions(reason: str, word: str) -> None:
    found = trouble(
        {"status": {"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason}]}}
    )
    assert found is not None
    assert found.reason == word


def test_long_messages_are_cut() -> None:
    found = trouble(waits("ErrImagePull", "x" * 5000))
    assert found is not None
    assert len(found.message) < 1000
