"""Whom to ask first, and what is asked of a master that is none. Real Sentinels: test_redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from proxy.session.redis_client import Broken, Command, Line, Refused, Reply
from proxy.session.redis_pool import Pool
from proxy.session.redis_route import Alone, first_answer, outcome

Ask = Callable[[], Coroutine[Any, Any, str]]


def after(seconds: float, answer: str = "", ended: list[str] | None = None) -> Ask:
    async def ask() -> str:
        try:
            await asyncio.sleep(seconds)
        finally:
            if ended is not None:
                ended.append(answer)
        if not answer:
            raise Broken("asked in vain")
        return answer

    return ask


async def test_the_first_who_answers() -> None:
    ended: list[str] = []
    asked = [after(60, "never", ended), after(0), after(0.01, "this", ended), after(60, "no")]
    async with asyncio.timeout(5):
        assert await first_answer(asked) == "this"
    assert ended == ["this", "never"]


async def test_who_answers_soon_is_the_only_one_asked() -> None:
    ended: list[str] = []
    assert await first_answer([after(0, "this", ended), after(0, "other", ended)]) == "this"
    assert ended == ["this"]


@pytest.mark.parametrize("count", [1, 3])
async def test_nobody_answers(count: int) -> None:
    with pytest.raises(Broken, match="in vain"):
        await first_answer([after(0)] * count)


async def test_nobody_to_ask() -> None:
    with pytest.raises(Broken, match="nobody"):
        await first_answer([])


async def test_nobody_goes_on_for_who_was_cancelled() -> None:
    ended: list[str] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await first_answer([after(60, "a", ended)])
    assert ended == ["a"]


async def test_a_shared_question_that_was_ended_is_broken_and_no_cancellation_of_ours() -> None:
    shared = asyncio.ensure_future(asyncio.sleep(60))
    waiting = asyncio.create_task(outcome(shared))
    await asyncio.sleep(0)
    shared.cancel()
    with pytest.raises(Broken, match="closed"):
        await waiting


async def test_who_is_cancelled_leaves_the_shared_question_to_others() -> None:
    shared = asyncio.ensure_future(asyncio.sleep(0.02, "answer"))
    waiting = asyncio.create_task(outcome(shared))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert await outcome(shared) == "answer"


class Steps(Pool):
    """A master that steps down: refuses all writes until it is given up."""

    def __init__(self, *, comes_back: bool) -> None:
        self.generation = 0
        self.asked: list[Command] = []
        self._comes_back = comes_back

    async def exchange(self, commands: Sequence[Command], *, again: bool) -> list[Reply]:
        self.asked += commands
        refuses = self.generation == 0 or not self._comes_back
        return [
            Refused("READONLY") if refuses and name == "SET" else b"done" for name, *_ in commands
        ]

    def give_up(self) -> None:
        self.generation += 1


async def nobody() -> Line:
    raise Broken("nobody")


QUESTIONS = [("a", ("GET", "a")), ("b", ("SET", "b")), ("c", ("SET", "c"))]


async def test_what_a_former_master_refused_is_asked_of_the_next() -> None:
    pool = Steps(comes_back=True)
    assert await Alone(pool, nobody).ask(QUESTIONS, again=False) == [b"done"] * 3
    assert pool.asked == [("GET", "a"), ("SET", "b"), ("SET", "c"), ("SET", "b"), ("SET", "c")]


async def test_and_once_only() -> None:
    pool = Steps(comes_back=False)
    refused = Refused("READONLY")
    assert await Alone(pool, nobody).ask(QUESTIONS, again=False) == [b"done", refused, refused]
    assert len(pool.asked) == 5
