"""Somebody is faster: between what was read and what is written, another client changes or replaces the object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from cluster.api import Api
from cluster.control_plane import ControlPlane
from cluster.process import Process
from finetune_operator.core.model import Config, JobKey, Manifest
from finetune_operator.shell.cache import Cache
from finetune_operator.shell.kube import AioKube, Conflict, Foreign, NotFound
from finetune_operator.shell.login import load_configuration
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.poller import Poller
from finetune_operator.shell.reconciler import Reconciler
from finetune_operator.shell.resources import FINETUNE_JOBS, JOBS, SECRETS, WATCHED, Resource
from shell.jobs import claim, config_map, finetune_job, secret


@pytest.fixture(autouse=True, scope="module")
def nobody_else(operator: Process) -> Iterator[None]:
    """The operator of the other tests would meddle."""
    operator.kill()
    yield
    operator.start()


class InterruptedKube(AioKube):
    """Lets somebody else act before a status is written, once."""

    interrupt: Callable[[], object] | None = None

    async def patch_status(self, resource: Resource, namespace: str, name: str, version: str, patch: Manifest) -> Manifest:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt:
            interrupt()
        return await super().patch_status(resource, namespace, name, version, patch)


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[InterruptedKube]:
    kube = InterruptedKube(await load_configuration({"KUBECONFIG": str(control_plane.kubeconfig)}), Metrics())
    yield kube
    await kube.close()


@pytest.fixture
def reconciler(kube: InterruptedKube) -> tuple[Reconciler, Cache]:
    """One without an operator around it."""
    cache, metrics = Cache(), Metrics()
    poller = Poller(lambda key: None, 10.0, metrics)
    return Reconciler(kube, cache, poller, Config(trainer_image="example/trainer:1"), metrics), cache


async def _read(kube: AioKube, cache: Cache, namespace: str) -> JobKey:
    for resource in WATCHED:
        labels = "" if resource == FINETUNE_JOBS else "finetune.dev/job"
        cache.listed(resource, await kube.list(resource, namespace, labels), namespace=namespace)
    return JobKey(namespace, "a")


async def test_a_status_of_an_older_spec_is_not_written(
    kube: InterruptedKube, reconciler: tuple[Reconciler, Cache], api: Api, namespace: str
):
    api.create(claim(namespace))
    api.create(finetune_job(namespace, run_policy={"suspend": True}))
    reconcile, cache = reconciler[0].reconcile, reconciler[1]
    key = await _read(kube, cache, namespace)
    statuses: list[Any] = []

    def resume() -> None:
        api.patch("FineTuneJob", namespace, "a", {"spec": {"runPolicy": {"suspend": False}}})
        statuses.append(api.get("FineTuneJob", namespace, "a").get("status"))

    kube.interrupt = resume
    await reconcile(key)
    after = api.get("FineTuneJob", namespace, "a")
    assert statuses == [None]
    assert (after["status"]["phase"], after["status"]["observedGeneration"]) == ("Pending", after["metadata"]["generation"])
    assert api.find("Job", namespace, "a-0") is not None


async def test_a_job_that_is_gone_ends_quietly(
    kube: InterruptedKube, reconciler: tuple[Reconciler, Cache], api: Api, namespace: str
):
    api.create(claim(namespace))
    api.create(finetune_job(namespace))
    key = await _read(kube, reconciler[1], namespace)
    kube.interrupt = lambda: api.delete("FineTuneJob", namespace, "a")
    await reconciler[0].reconcile(key)
    assert await reconciler[0].reconcile(key) is None


async def test_what_is_there_already_is_not_created_twice(
    kube: InterruptedKube, reconciler: tuple[Reconciler, Cache], api: Api, namespace: str
):
    """The cache does not know of the first time: it was another operator's, or it is late."""
    api.create(claim(namespace))
    api.create(finetune_job(namespace))
    key = await _read(kube, reconciler[1], namespace)
    await reconciler[0].reconcile(key)
    uid = api.get("Job", namespace, "a-0")["metadata"]["uid"]
    late = Cache()
    late.listed(FINETUNE_JOBS, await kube.list(FINETUNE_JOBS, namespace), namespace=namespace)
    again = Reconciler(kube, late, Poller(lambda key: None, 10.0, Metrics()), Config(trainer_image="example/trainer:1"), Metrics())
    api.patch("FineTuneJob", namespace, "a", {"status": None}, "status")
    await again.reconcile(key)
    assert api.get("Job", namespace, "a-0")["metadata"]["uid"] == uid


def _owned(namespace: str, owner: str) -> Manifest:
    reference = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "name": "a", "uid": owner, "controller": True}
    manifest = config_map(namespace, "ftj-a")
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [reference]}}


async def test_create_takes_what_is_ours_and_nothing_else(kube: AioKube, api: Api, namespace: str):
    mine = api.create(finetune_job(namespace))["metadata"]["uid"]
    first = await kube.create(_owned(namespace, mine))
    assert (await kube.create(_owned(namespace, mine)))["metadata"]["uid"] == first["metadata"]["uid"]
    with pytest.raises(Foreign, match="does not belong to this job"):
        await kube.create(_owned(namespace, "11111111-2222-3333-4444-555555555555"))


async def test_a_namesake_is_neither_patched_nor_deleted(kube: AioKube, api: Api, namespace: str):
    job = api.create(_bare_job(namespace))
    other = "11111111-2222-3333-4444-555555555555"
    with pytest.raises(Conflict):
        await kube.patch(JOBS, namespace, "j", other, {"spec": {"suspend": False}})
    with pytest.raises(Conflict):
        await kube.delete(JOBS, namespace, "j", other)
    left = api.get("Job", namespace, "j")
    assert left["spec"]["suspend"] is True and "deletionTimestamp" not in left["metadata"]
    await kube.patch(JOBS, namespace, "j", job["metadata"]["uid"], {"spec": {"suspend": False}})
    assert api.get("Job", namespace, "j")["spec"]["suspend"] is False
    with pytest.raises(NotFound):
        await kube.patch(JOBS, namespace, "nobody", other, {"spec": {}})


def _bare_job(namespace: str) -> Manifest:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example/image:1"}]}
    spec = {"suspend": True, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": namespace}, "spec": spec}


async def test_of_a_secret_only_its_type_is_read(kube: AioKube, api: Api, namespace: str):
    api.create(secret(namespace, "s", k="v"))
    printed = await kube.printed(SECRETS, namespace, "s")
    assert printed == {"Name": "s", "Type": "Opaque", "Data": 1, "Age": printed["Age"]}
    with pytest.raises(NotFound):
        await kube.printed(SECRETS, namespace, "t")


async def test_lists_come_in_pages_and_as_one(kube: AioKube, api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("finetune_operator.shell.kube._PAGE", 2)
    for name in "abcde":
        api.create(finetune_job(namespace, name))
    listed = await kube.list(FINETUNE_JOBS, namespace)
    assert [item["metadata"]["name"] for item in listed.items] == list("abcde")
    assert listed.version >= max(int(item["metadata"]["resourceVersion"]) for item in listed.items)
