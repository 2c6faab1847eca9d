"""A subscription and its mending. Over a real network that fails: test_redis_faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.session.redis_address import Address
from proxy.session.redis_client import Broken, Command, Line, Refused, Reply
from proxy.session.redis_news import News
from tests.session.shelf_contract import until


class FakeLine(Line):
    """Says what a test puts into ``words``; answers PING unless it is ``dead``."""

    def __init__(self, first: Reply) -> None:
        self.address = Address("fake", 1)
        self.words: asyncio.Queue[Reply | Broken] = asyncio.Queue()
        self.told: list[str] = []
        self.dead = self.closed = False
        self._first = first

    async def tell(self, command: Command) -> None:
        if self.closed:
            raise Broken("closed")
        self.told.append(command[0])
        if command[0] == "SUBSCRIBE":
            self.words.put_nowait(self._first)
        elif not self.dead:
            self.words.put_nowait([b"pong", b""])

    async def hear(self) -> Reply:
        word = await self.words.get()
        if isinstance(word, Broken):
            raise word
        return word

    def abort(self) -> None:
        self.closed = True
        self.words.put_nowait(Broken("aborted"))


class Server:
    def __init__(self) -> None:
        self.lines: list[FakeLine] = []
        self.first: Reply = [b"subscribe", b"news", 1]
        self.told: list[str] = []
        self.heard: list[bytes | None] = []
        self.states: list[bool] = []

    async def dial(self) -> Line:
        self.lines.append(FakeLine(self.first))
        return self.lines[-1]

    @asynccontextmanager
    async def listened(self) -> AsyncIterator[News]:
        news = News(self.dial, "news", 0.5, self.told.append, lambda: self.note(news))
        task = asyncio.create_task(news.listen(self.heard.append))
        try:
            yield news
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert all(line.closed for line in self.lines)

    def note(self, news: News) -> None:
        self.states.append(news.is_heard)


async def test_messages_and_nothing_else_are_heard() -> None:
    server = Server()
    async with server.listened():
        await until(lambda: server.heard == [None])
        for word in ([b"message", b"news", b"1"], [b"pong", b""], b"x", Refused("ERR"), None, []):
            server.lines[0].words.put_nowait(word)
        server.lines[0].words.put_nowait([b"message", b"news", b"2"])
        await until(lambda: len(server.heard) == 3)
        assert server.heard == [None, b"1", b"2"]


async def test_who_is_dead_is_left_within_a_second_or_so() -> None:
    server = Server()
    async with server.listened():
        await until(lambda: server.heard == [None])
        await until(lambda: server.lines[0].told.count("PING") >= 3)
        server.lines[0].dead = True
        began = asyncio.get_running_loop().time()
        await until(lambda: server.heard == [None, None])
        assert asyncio.get_running_loop().time() - began < 1.6
        assert server.lines[0].closed


async def test_it_is_known_whether_somebody_hears() -> None:
    server = Server()
    async with server.listened() as news:
        await until(lambda: news.is_heard)
        server.lines[0].abort()
        await until(lambda: not news.is_heard)
        await until(lambda: news.is_heard)
    assert not news.is_heard
    assert server.states == [False, True, False, True, False, False]


async def test_renewed_it_is_subscribed_elsewhere() -> None:
    server = Server()
    async with server.listened() as news:
        await until(lambda: server.heard == [None])
        news.renew()
        await until(lambda: server.heard == [None, None])
        assert len(server.lines) == 2


@pytest.mark.parametrize(
    ("first", "told"),
    [
        pytest.param(Refused("NOPERM"), ["Redis refused SUBSCRIBE to news: NOPERM"], id="refused"),
        pytest.param(b"OK", [], id="no answer to that"),
        pytest.param(None, [], id="nothing"),
    ],
)
async def test_what_is_no_subscription_is_tried_again_and_told_once(
    first: Reply, told: list[str]
) -> None:
    server = Server()
    server.first = first
    async with server.listened():
        await until(lambda: len(server.lines) >= 4)
        assert server.heard == []
        assert server.told == told


async def test_closed_it_ends() -> None:
    server = Server()
    news = News(server.dial, "news", 0.5, server.told.append, lambda: None)
    task = asyncio.create_task(news.listen(server.heard.append))
    await until(lambda: server.heard == [None])
    news.close()
    await asyncio.wait_for(task, 2)
    assert server.lines[0].closed
