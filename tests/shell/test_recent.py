"""Answers that are shared for a moment."""

from __future__ import annotations

import asyncio

import pytest

from finetune_operator.shell.recent import Recent


class Source:
    """Gives the answers in turn and counts the questions; an exception is raised."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self) -> object:
        self.asked += 1
        await asyncio.sleep(0.01)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_who_asks_meanwhile_or_soon_after_shares_one_request() -> None:
    async def play() -> None:
        source, recent = Source("there", "there later"), Recent(0.2)
        assert await asyncio.gather(*(recent.read("a", source) for _ in range(3))) == ["there"] * 3
        assert await recent.read("a", source) == "there"
        assert source.asked == 1
        await asyncio.sleep(0.3)
        assert await recent.read("a", source) == "there later"

    asyncio.run(play())


@pytest.mark.parametrize("first", [None, RuntimeError("no answer")])
def test_what_is_missing_or_failed_is_asked_again(first: object) -> None:
    async def play() -> None:
        source, recent = Source(first, "there"), Recent(60)
        answers = await asyncio.gather(*(recent.read("a", source) for _ in range(2)), return_exceptions=True)
        assert answers == [first, first]
        await asyncio.sleep(0.01)
        assert await recent.read("a", source) == "there"

    asyncio.run(play())


def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async def play() -> None:
        source, recent = Source("there"), Recent(60)
        first, second = (asyncio.ensure_future(recent.read("a", source)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "there"

    asyncio.run(play())
