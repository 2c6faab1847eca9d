"""The connections to one server: handed on, bounded, given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from proxy.session import redis_pool
from proxy.session.circuit import FAILURES
from proxy.session.redis_address import Address
from proxy.session.redis_client import Broken, Command, Line, Reply
from proxy.session.redis_pool import Pool


class FakeLine(Line):
    """Answers with its own number, as long as it is not broken."""

    def __init__(self, number: int, server: FakeServer) -> None:
        self.address = Address("fake", number)
        self.number = number
        self.is_stale = self.breaks = self.closed = False
        self._server = server

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        assert not self.closed
        self._server.asked += 1
        await self._server.answers.wait()
        if self.breaks:
            raise Broken("lost")
        return [self.number for _ in commands]

    async def stale(self) -> bool:
        return self.is_stale

    def abort(self) -> None:
        self.closed = True


class FakeServer:
    def __init__(self) -> None:
        self.lines: list[FakeLine] = []
        self.told: list[str] = []
        self.asked = 0
        self.refuses = False
        self.dialed = 0
        self.answers, self.dials = asyncio.Event(), asyncio.Event()
        self.answers.set()
        self.dials.set()

    async def dial(self) -> Line:
        self.dialed += 1
        await self.dials.wait()
        if self.refuses:
            raise Broken("refused")
        self.lines.append(FakeLine(len(self.lines), self))
        return self.lines[-1]

    def pool(self, limit: int = 2) -> Pool:
        return Pool("fake", self.dial, limit, self.told.append)


async def ask(pool: Pool, *, again: bool = False) -> Any:
    return (await pool.exchange([("GET", "a")], again=again))[0]


async def test_a_connection_is_used_again() -> None:
    server = FakeServer()
    pool = server.pool()
    assert [await ask(pool) for _ in range(5)] == [0] * 5


async def test_the_one_used_last_is_used_next() -> None:
    """So that those that are too many grow old."""
    server = FakeServer()
    pool = server.pool()
    server.answers.clear()
    both = [asyncio.create_task(ask(pool)) for _ in range(2)]
    await asyncio.sleep(0)
    server.answers.set()
    last = (await asyncio.gather(*both))[-1]
    assert [await ask(pool) for _ in range(3)] == [last] * 3


async def test_never_more_than_the_limit() -> None:
    server = FakeServer()
    pool = server.pool(3)
    server.answers.clear()
    tasks = [asyncio.create_task(ask(pool)) for _ in range(10)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert server.asked == 3
    server.answers.set()
    await asyncio.gather(*tasks)
    assert len(server.lines) == 3


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_few_are_dialed_at_once_and_whoever_waits_gets_what_comes_first() -> None:
    server = FakeServer()
    server.dials.clear()
    pool = server.pool(50)
    tasks = [asyncio.create_task(ask(pool)) for _ in range(20)]
    await settle()
    assert server.dialed == 4
    server.dials.set()
    await asyncio.gather(*tasks)
    assert server.dialed < 20


async def test_a_dial_that_hangs_does_not_keep_a_free_connection_from_those_who_wait() -> None:
    server = FakeServer()
    pool = server.pool(50)
    server.answers.clear()
    using = asyncio.create_task(ask(pool))
    await settle()
    server.dials.clear()
    stuck = [asyncio.create_task(ask(pool)) for _ in range(4)]
    waiting = [asyncio.create_task(ask(pool)) for _ in range(3)]
    await settle()
    server.answers.set()
    assert await using == 0
    assert await asyncio.gather(*waiting) == [0, 0, 0]
    server.dials.set()
    await asyncio.gather(*stuck)


@pytest.mark.parametrize("rounds", range(5))
async def test_who_goes_away_while_waiting_takes_nothing_along(rounds: int) -> None:
    server = FakeServer()
    pool = server.pool(1)
    server.answers.clear()
    using = asyncio.create_task(ask(pool))
    await settle()
    leaving = [asyncio.create_task(ask(pool)) for _ in range(3)]
    staying = asyncio.create_task(ask(pool))
    await settle()
    server.answers.set()
    for _ in range(rounds):
        await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    assert await asyncio.wait_for(using, 5) == 0
    assert isinstance(await asyncio.wait_for(staying, 5), int)
    assert isinstance(await asyncio.wait_for(ask(pool), 5), int)


async def test_who_waits_dials_when_a_connection_is_lost() -> None:
    server = FakeServer()
    pool = server.pool(1)
    server.answers.clear()
    using, waiting = (asyncio.create_task(ask(pool)) for _ in range(2))
    await settle()
    server.lines[0].breaks = True
    server.answers.set()
    with pytest.raises(Broken):
        await using
    assert await asyncio.wait_for(waiting, 5) == 1


async def test_a_stale_connection_is_not_used() -> None:
    server = FakeServer()
    pool = server.pool()
    await ask(pool)
    server.lines[0].is_stale = True
    assert await ask(pool) == 1
    assert server.lines[0].closed


async def test_a_connection_that_rested_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pool, "IDLE", -1.0)
    server = FakeServer()
    pool = server.pool()
    assert [await ask(pool) for _ in range(3)] == [0, 1, 2]
    assert [line.closed for line in server.lines] == [True, True, False]


@pytest.mark.parametrize("again", [True, False])
async def test_what_breaks_on_a_used_connection_is_asked_again_only_where_it_may(
    again: bool,
) -> None:
    server = FakeServer()
    pool = server.pool()
    await ask(pool)
    server.lines[0].breaks = True
    if again:
        assert await ask(pool, again=True) == 1
    else:
        with pytest.raises(Broken, match="lost"):
            await ask(pool)
    assert server.lines[0].closed
    assert await ask(pool) == 1


async def test_nothing_is_asked_a_third_time() -> None:
    server = FakeServer()
    pool = server.pool()
    await ask(pool)
    server.lines[0].breaks = True
    server.refuses = True
    with pytest.raises(Broken, match="refused"):
        await ask(pool, again=True)
    assert server.asked == 2


async def test_what_is_given_up_is_not_used_again() -> None:
    server = FakeServer()
    pool = server.pool()
    await ask(pool)
    server.answers.clear()
    using = asyncio.create_task(ask(pool))
    await asyncio.sleep(0)
    pool.give_up()
    assert not server.lines[0].closed
    server.answers.set()
    assert await using == 0
    assert server.lines[0].closed
    assert await ask(pool) == 1


async def test_who_is_cancelled_takes_the_connection_along() -> None:
    server = FakeServer()
    pool = server.pool(1)
    server.answers.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ask(pool)
    server.answers.set()
    assert server.lines[0].closed
    assert await ask(pool) == 1


async def test_who_does_not_answer_is_spared() -> None:
    server = FakeServer()
    pool = server.pool()
    server.refuses = True
    for _ in range(FAILURES):
        with pytest.raises(Broken, match="refused"):
            await ask(pool)
    with pytest.raises(Broken, match="did not answer lately"):
        await ask(pool)
    assert server.told == ["Redis cannot be asked: refused; tried again once a second"]


async def test_closed_is_closed() -> None:
    server = FakeServer()
    pool = server.pool()
    await ask(pool)
    server.answers.clear()
    using = asyncio.create_task(ask(pool))
    await asyncio.sleep(0)
    pool.close()
    assert server.lines[0].closed
    server.answers.set()
    await using
    with pytest.raises(Broken, match="closed"):
        await ask(pool)
