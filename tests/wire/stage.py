"""What the tests of this room share: a client that keeps what it gets, pools, heads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from proxy.wire.message import RequestHead, ResponseHead
from proxy.wire.pool import Limits, Origin, Pool

GET = RequestHead(b"GET", b"/", ((b"Host", b"app.example"),))
HEAD = RequestHead(b"HEAD", b"/", ((b"Host", b"app.example"),))
POST = RequestHead(b"POST", b"/", ((b"Host", b"app.example"),))

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Client:
    """A client's connection: ``writes`` holds what left, one entry for each write."""

    def __init__(self, *, http11: bool = True, keep_alive: bool = True) -> None:
        self.http11 = http11
        self.keep_alive = keep_alive
        self.writes: list[bytes] = []
        self.resumed: Callable[[], None] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_paused(self) -> bool:
        return not self._room.is_set()

    @property
    def received(self) -> bytes:
        return b"".join(self.writes)

    @property
    def body(self) -> bytes:
        return self.received.partition(b"\r\n\r\n")[2]

    @property
    def head(self) -> bytes:
        return self.received.partition(b"\r\n\r\n")[0]

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self._news.set()

    def pause(self) -> None:
        self._room.clear()

    def resume(self) -> None:
        self._room.set()
        if self.resumed is not None:
            self.resumed()

    async def got(self, data: bytes) -> None:
        """Wait until ``data`` is among what was received."""
        while data not in self.received:
            self._news.clear()
            await self._news.wait()


def as_is(head: ResponseHead) -> list[tuple[bytes, bytes]]:
    return list(head.headers)


def limits(
    *,
    connect: float = 5,
    response: float = 5,
    idle: float = 5,
    queue: float = 5,
    keepalive: float = 60,
    connections: int = 8,
) -> Limits:
    return Limits(connect, response, idle, queue, keepalive, connections)


@asynccontextmanager
async def pool_of(url: str, some: Limits | None = None) -> AsyncIterator[Pool]:
    pool = Pool(Origin.parse(url), some or limits(), None, monotonic)
    try:
        yield pool
    finally:
        await pool.close()


async def eventually(condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition`` holds; the test's own time limit ends a vain wait."""
    while True:
        if condition():
            return
        await asyncio.sleep(0)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
