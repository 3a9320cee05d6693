"""Lists repair what watches miss, and find out when one has died; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from finetune_operator.core.model import JobKey, Manifest
from finetune_operator.shell.cache import Cache
from finetune_operator.shell.kube import Listed, NotFound, Unreachable
from finetune_operator.shell.resources import FINETUNE_JOBS, PODS, Resource
from finetune_operator.shell.resync import INTERVAL_SECONDS, Resync
from shell.test_cache import KEY, held, thing

pytestmark = pytest.mark.looptime


class Lists:
    """An API server that can only list pods, and not always that."""

    def __init__(self) -> None:
        self.pods: list[Manifest] = []
        self.version = 1
        self.failures: list[Exception] = []
        self.asked: list[tuple[str, str | None, str]] = []

    async def list(self, resource: Resource, namespace: str | None, labels: str = "", **_: Any) -> Listed:
        self.asked.append((resource.plural, namespace, labels))
        if self.failures:
            raise self.failures.pop(0)
        return Listed(self.pods if resource == PODS else [], self.version)


class AtWork:
    """A resync after its first list, with what it works on; its clock is that of the test."""

    def __init__(self) -> None:
        self.lists, self.cache, self.changed = Lists(), Cache(), set[JobKey]()

    async def __aenter__(self) -> AtWork:
        self.resync = Resync(self.lists, self.cache, (), self.changed.add)  # type: ignore[arg-type]
        await self.resync.first()
        self.changed.clear()
        self._task = asyncio.create_task(self.resync.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()


def _watched(cache: Cache, pods: Iterable[Manifest]) -> None:
    for pod in pods:
        cache.watched(PODS, pod)


async def test_it_begins_when_the_api_server_does():
    lists = Lists()
    lists.failures = [Unreachable("refused"), NotFound("GET", 404, "NotFound", "no such kind"), Unreachable("refused")]
    lists.pods = [thing("p", 1)]
    cache = Cache()
    resync = Resync(lists, cache, (), lambda key: None)  # type: ignore[arg-type]
    assert not resync.complete
    await resync.first()
    assert resync.complete and held(cache, PODS) == {"p": 1}


async def test_namespaces_are_listed_one_by_one():
    lists = Lists()
    await Resync(lists, Cache(), ("a", "b"), lambda key: None).first()  # type: ignore[arg-type]
    assert {namespace for _, namespace, _ in lists.asked} == {"a", "b"}
    assert {labels for plural, _, labels in lists.asked if plural != FINETUNE_JOBS.plural} == {"finetune.dev/job"}


async def test_what_vanished_unseen_is_removed_in_time():
    async with AtWork() as at:
        _watched(at.cache, [thing("p", 5)])
        at.lists.version = 9
        await asyncio.sleep(INTERVAL_SECONDS + 1)
        assert held(at.cache, PODS) == {} and at.changed == {KEY}


async def test_a_new_watch_is_followed_by_a_list():
    async with AtWork() as at:
        _watched(at.cache, [thing("p", 5)])
        at.lists.version = 9
        at.resync.soon()
        await asyncio.sleep(10)
        assert held(at.cache, PODS) == {}


async def test_a_failed_list_is_tried_again():
    async with AtWork() as at:
        _watched(at.cache, [thing("p", 5)])
        at.lists.version, at.lists.failures = 9, [Unreachable("refused")]
        at.resync.soon()
        await asyncio.sleep(20)
        assert held(at.cache, PODS) == {} and at.resync.idle_seconds() < 20


async def test_a_silent_watch_is_found_out():
    async with AtWork() as at:
        at.lists.pods, at.lists.version = [thing("p", 5)], 5
        await asyncio.sleep(INTERVAL_SECONDS + 1)
        assert at.resync.silent_watch == ""  # It may be on its way.
        await asyncio.sleep(INTERVAL_SECONDS + 1)
        assert at.resync.silent_watch == "pods"


async def test_a_watch_that_shows_things_is_not_silent():
    async with AtWork() as at:
        for version in range(2, 12):
            at.lists.pods, at.lists.version = [thing("p", version)], version
            await asyncio.sleep(INTERVAL_SECONDS / 2)
            _watched(at.cache, at.lists.pods)
        assert len(at.lists.asked) > 9 and at.resync.silent_watch == ""
