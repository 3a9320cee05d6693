"""Rules that every pod keeps, whatever the job says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_api.pod_rules import OWNED_VOLUMES
from render import cases
from render.pod_security import restricted_violations

ids = st.none() | st.integers(1, 2**31 - 1)


@pytest.mark.parametrize("name", cases.NAMES)
def test_restricted_pod_security(name: str):
    assert restricted_violations(cases.pod(cases.read(name))) == []


@given(user=ids, group=ids, fs_group=ids)
def test_restricted_pod_security_for_every_user(user: int | None, group: int | None, fs_group: int | None):
    wanted = {"runAsUser": user, "runAsGroup": group, "fsGroup": fs_group}
    chosen = {name: value for name, value in wanted.items() if value is not None}
    pod = cases.pod(cases.small(podTemplate={"spec": {"securityContext": chosen}}))
    assert restricted_violations(pod) == []
    assert {name: pod["securityContext"][name] for name in wanted} == dict.fromkeys(wanted, 1000) | chosen


def test_the_check_for_restricted_pods_finds_what_is_wrong():
    pod = cases.pod(cases.small())
    pod["hostNetwork"] = True
    pod["securityContext"]["runAsNonRoot"] = False
    del pod["containers"][0]["securityContext"]["capabilities"]
    assert restricted_violations(pod) == ["hostNetwork", "root", "capabilities"]


@pytest.mark.parametrize("name", cases.NAMES)
def test_no_access_to_the_api_server(name: str):
    pod = cases.pod(cases.read(name))
    assert pod["automountServiceAccountToken"] is False and "serviceAccountName" not in pod


def test_ours_win_over_labels_and_annotations_of_the_template():
    """The schema refuses these; should they get through all the same, our bookkeeping stays what it is."""
    theirs = {"labels": {"finetune.dev/attempt": "9", "mine": "x"}, "annotations": {"finetune.dev/restarts": "9", "mine": "y"}}
    *_, job = cases.attempt(cases.small(podTemplate={"metadata": theirs}))
    assert job["metadata"]["labels"] | {"finetune.dev/attempt": "0", "mine": "x"} == job["metadata"]["labels"]
    assert job["metadata"]["annotations"] | {"finetune.dev/restarts": "0", "mine": "y"} == job["metadata"]["annotations"]
    assert job["spec"]["template"]["metadata"]["labels"]["finetune.dev/attempt"] == "0"


def test_a_pod_has_time_to_save_and_to_say_so():
    assert cases.pod(cases.small(runPolicy={"gracefulStopSeconds": 600}))["terminationGracePeriodSeconds"] == 630


def test_shared_memory_has_the_size_asked_for():
    pod = cases.pod(cases.small(resources={"sharedMemory": "3Gi"}))
    assert {"name": "finetune-shm", "emptyDir": {"medium": "Memory", "sizeLimit": "3Gi"}} in pod["volumes"]


def test_every_mount_has_its_volume_and_a_path_of_its_own():
    for name in cases.NAMES:
        job = cases.read(name)
        mounts = cases.container(job)["volumeMounts"]
        volumes = [volume["name"] for volume in cases.pod(job)["volumes"]]
        assert {mount["name"] for mount in mounts} <= set(volumes)
        assert len(volumes) == len(set(volumes))
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


@pytest.mark.parametrize("name", cases.NAMES)
def test_our_volumes_have_names_that_a_job_cannot_use(name: str):
    job = cases.read(name)
    given = {volume.name for volume in job.spec.pod_template.spec.volumes}
    ours = {volume["name"] for volume in cases.pod(job)["volumes"]} - given
    assert ours and all(volume.startswith(OWNED_VOLUMES) for volume in ours)


def test_a_claim_is_one_volume_however_often_it_is_used():
    for name in cases.NAMES:
        volumes = cases.pod(cases.read(name))["volumes"]
        claims = [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]
        assert len(claims) == len(set(claims))


def test_an_own_trainer_runs_as_it_is_written():
    ours, own = cases.container(cases.read("plain")), cases.container(cases.read("own-trainer"))
    assert ours["command"] == ["python", "-m", "finetune_trainer"] and ours["image"] == cases.CONFIG.trainer_image
    assert ours["terminationMessagePolicy"] == "File" and ours["securityContext"]["readOnlyRootFilesystem"]
    assert own["command"][:2] == ["accelerate", "launch"] and own["image"] == "registry.example.com/team/train:7"
    assert own["terminationMessagePolicy"] == "FallbackToLogsOnError" and not own["securityContext"]["readOnlyRootFilesystem"]


def test_without_an_output_volume_there_is_no_output():
    job = cases.read("own-trainer")
    assert not {"/output", "/cache"} & {mount["mountPath"] for mount in cases.container(job)["volumeMounts"]}
    assert not {"FINETUNE_OUTPUT_DIR", "HF_HOME"} & set(cases.environment(job))
