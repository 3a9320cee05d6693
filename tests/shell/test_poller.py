"""Progress is asked of node 0, however it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from cluster.ports import free_port
from finetune_api.contract import Progress
from finetune_operator.core.model import JobKey
from finetune_operator.shell.metrics import Metrics
from finetune_operator.shell.poller import Poller

KEY = JobKey("n", "a")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def polled(answer: Answer, seconds: float = 0.1) -> AsyncIterator[tuple[Poller, asyncio.Queue[JobKey]]]:
    """A poller at work, and a node 0 at 127.0.0.1 that answers so."""
    port, changed = free_port(), asyncio.Queue[JobKey]()
    app = web.Application()
    app.router.add_get("/progress", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    poller = Poller(changed.put_nowait, seconds, Metrics(), port)
    task = asyncio.create_task(poller.run())
    try:
        yield poller, changed
    finally:
        task.cancel()
        await runner.cleanup()


def _progress(**fields: object) -> web.Response:
    return web.json_response(text=Progress.model_validate(fields).model_dump_json(by_alias=True, exclude_none=True))


async def test_a_change_is_told_once():
    steps = iter([1, 1, 1, 2, 2, 2, 2, 2, 2])

    async def answer(_request: web.Request) -> web.Response:
        return _progress(step=next(steps, 2))

    async with polled(answer) as (poller, changed):
        poller.watch(KEY, "a-0", "127.0.0.1")
        for step in (1, 2):
            assert await asyncio.wait_for(changed.get(), 5) == KEY
            progress = poller.progress(KEY, "a-0")
            assert progress is not None and progress.step == step
        await asyncio.sleep(0.8)
        assert changed.empty()


async def test_the_last_answer_outlives_the_pod_but_not_the_attempt():
    async def answer(_request: web.Request) -> web.Response:
        return _progress(step=5)

    async with polled(answer) as (poller, changed):
        poller.watch(KEY, "a-0", "127.0.0.1")
        await asyncio.wait_for(changed.get(), 5)
        poller.watch(KEY, "a-0", None)
        assert poller.progress(KEY, "a-0") is not None
        assert poller.progress(KEY, "a-1") is None
        poller.watch(KEY, "a-1", "127.0.0.1")
        assert poller.progress(KEY, "a-1") is None
        assert poller.progress(KEY, "a-0") is None
        poller.forget(KEY)
        await asyncio.sleep(0.5)
        assert poller.progress(KEY, "a-1") is None


@pytest.mark.parametrize("kind", ["redirect", "not JSON", "wrong", "error", "endless", "deaf"])
async def test_odd_answers_change_nothing(kind: str):
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if kind == "redirect":
            raise web.HTTPFound("/progress?again")
        if kind == "endless":
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(100):
                await response.write(b'{"step": 1}' + b" " * 10_000)
            return response
        if kind == "deaf":
            await asyncio.sleep(600)
        text = {"not JSON": "<html>", "wrong": json.dumps({"step": "many"}), "error": "{}"}[kind]
        return web.Response(text=text, status=500 if kind == "error" else 200)

    async with polled(answer) as (poller, changed):
        poller.watch(KEY, "a-0", "127.0.0.1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(changed.get(), 0.8)
        assert asked
        assert poller.progress(KEY, "a-0") is None
