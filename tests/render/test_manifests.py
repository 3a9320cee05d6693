"""What is made of a handful of jobs: compared with golden files and with Kubernetes' own schemas."""

from __future__ import annotations

from dataclasses import replace

import kubernetes_validate
import pytest
from syrupy.assertion import SnapshotAssertion

from finetune_operator.core.model import Job
from finetune_operator.core.render.attempt import render_attempt
from render import cases

each_job = pytest.mark.parametrize("name", cases.NAMES)


@each_job
def test_manifests(name: str, golden: SnapshotAssertion):
    assert cases.attempt(cases.read(name)) == golden


@each_job
@pytest.mark.parametrize("version", ["1.29", "1.36"])
def test_kubernetes_knows_every_field(name: str, version: str):
    for manifest in cases.attempt(cases.read(name)):
        kubernetes_validate.validate(manifest, version, strict=True)


@each_job
def test_children_go_with_their_job(name: str):
    job = cases.read(name)
    for manifest in cases.attempt(job):
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["kind"]) == (job.uid, True, "FineTuneJob")
        assert manifest["metadata"]["namespace"] == job.key.namespace


def changed(one: object, other: object, at: str = "") -> set[str]:
    """Paths at which two manifests differ; a named entry of a list stands under its name."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {path for key in one | other for path in changed(one.get(key), other.get(key), f"{at}.{key}")}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        names = [entry.get("name", number) if isinstance(entry, dict) else number for number, entry in enumerate(one)]
        return {path for name, a, b in zip(names, one, other, strict=True) for path in changed(a, b, f"{at}[{name}]")}
    return set() if one == other else {at}


def render(job: Job, number: int, **past: float):
    return render_attempt(job, number, config=cases.CONFIG, **{"restarts": 0, "preemptions": 0, "ran_seconds": 0.0, **past})


@each_job
def test_two_attempts_differ_only_where_they_must(name: str):
    job = cases.read(name)
    (service, config_map, first), (same_service, same_config_map, later) = render(job, 0), render(job, 7)
    assert (service, config_map) == (same_service, same_config_map)
    env = ".spec.template.spec.containers[trainer].env"
    assert changed(first, later) == {
        ".metadata.name",
        ".metadata.labels.finetune.dev/attempt",
        ".spec.template.metadata.labels.finetune.dev/attempt",
        ".spec.template.spec.topologySpreadConstraints[0].labelSelector.matchLabels.finetune.dev/attempt",
        f"{env}[MASTER_ADDR].value",
        f"{env}[PET_MASTER_ADDR].value",
        f"{env}[FINETUNE_ATTEMPT].value",
    }


def test_the_past_is_written_on_the_job():
    job = cases.small()
    *_, before = render(job, 3)
    *_, after = render(job, 3, restarts=2, preemptions=1, ran_seconds=61.23456)
    assert after["metadata"]["annotations"] == {
        "finetune.dev/restarts": "2",
        "finetune.dev/preemptions": "1",
        "finetune.dev/ran-seconds": "61.235",
    }
    assert {path.rpartition("/")[2] for path in changed(before, after)} == {"restarts", "preemptions", "ran-seconds"}


def test_a_job_that_could_not_be_read_is_not_rendered():
    with pytest.raises(ValueError, match=r"team/small could not be read: spec\.model is missing"):
        render(replace(cases.small(), job=None, problems=("spec.model is missing",)), 0)
