"""The work queue, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from finetune_operator.shell.queue import QueueClosed, WorkQueue

pytestmark = pytest.mark.looptime


async def test_a_key_that_waits_is_there_once():
    queue: WorkQueue[str] = WorkQueue()
    for key in "aba":
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_is_not_handed_out_twice_at_a_time():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 60)
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_of_delayed_additions_the_earliest_counts():
    loop, queue = asyncio.get_running_loop(), WorkQueue[str]()
    queue.add_after("a", 5)
    queue.add_after("a", 2)
    queue.add_after("a", 9)
    start = loop.time()
    assert await queue.get() == "a" and loop.time() - start == pytest.approx(2)
    queue.done("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 60)


async def test_an_addition_replaces_delayed_ones():
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 5)
    queue.add("a")
    queue.add_after("a", 1)
    assert await queue.get() == "a"
    queue.done("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 60)


async def test_a_delay_that_ends_while_the_key_is_worked_on_counts_afterwards():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add_after("a", 1)
    await asyncio.sleep(2)
    queue.done("a")
    assert await asyncio.wait_for(queue.get(), 0.1) == "a"


async def test_retries_come_later_and_later_until_forgotten():
    queue: WorkQueue[str] = WorkQueue(first_delay=1, longest_delay=8)
    delays = []
    for _ in range(6):
        delays.append(queue.retry("a"))
        await queue.get()
        queue.done("a")
    for delay, most in zip(delays, (1, 2, 4, 8, 8, 8), strict=True):
        assert most / 2 <= delay <= most
    queue.forget("a")
    assert queue.retry("a") <= 1


async def test_each_key_goes_to_one_worker_and_all_are_worked_on():
    queue: WorkQueue[int] = WorkQueue()
    active: set[int] = set()
    worked: list[int] = []

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in active
            active.add(key)
            await asyncio.sleep(0.1)
            active.discard(key)
            worked.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for _ in range(3):
        for key in range(10):
            queue.add(key)
        await asyncio.sleep(0.15)
    await asyncio.sleep(5)
    for worker in workers:
        worker.cancel()
    assert set(worked) == set(range(10)) and 10 <= len(worked) <= 30 and len(queue) == 0


async def test_a_worker_that_is_cancelled_takes_no_key_with_it():
    queue: WorkQueue[str] = WorkQueue()
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(1)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"


async def test_closed_it_hands_out_nothing():
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.close()
    with pytest.raises(QueueClosed):
        await waiting
    queue.add("a")
    queue.add_after("b", 1)
    with pytest.raises(QueueClosed):
        await queue.get()


async def test_waiting_is_measured():
    waited: list[float] = []
    queue: WorkQueue[str] = WorkQueue(waited=waited.append)
    queue.add("a")
    await asyncio.sleep(3)
    await queue.get()
    assert waited == [pytest.approx(3)]
