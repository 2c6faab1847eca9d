"""Time, listening, keys and values for tests of shelves."""

from __future__ import annotations

import asyncio
import time as system
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from proxy.session.shelf import Shelf
from tests.fakes.clock import FakeClock

LONG, SHORT = 1000.0, 0.2
PATIENCE = 5.0


class Time(Protocol):
    """A clock in Unix seconds."""

    def __call__(self) -> float: ...

    async def elapse(self, seconds: float) -> None: ...


class FakeTime(FakeClock):
    async def elapse(self, seconds: float) -> None:
        self.advance(seconds)


class RealTime:
    def __call__(self) -> float:
        return system.time()

    async def elapse(self, seconds: float) -> None:
        """By this clock: a timer of the loop's may fire a little early."""
        end = self() + seconds
        while (left := end - self()) > 0:  # noqa: ASYNC110 - real seconds have no event
            await asyncio.sleep(left)


async def until(met: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a condition; fails when it takes too long."""
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(shelf: Shelf) -> AsyncIterator[list[bytes | None]]:
    """What a listener hears, from when the shelf has confirmed that it listens."""
    heard: list[bytes | None] = []
    task = asyncio.create_task(shelf.listen(heard.append))
    try:
        await until(lambda: heard[:1] == [None] or task.done())
        assert not task.done()
        heard.clear()
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def every(keys: AsyncIterator[str]) -> set[str]:
    return {key async for key in keys}


VALUES = [
    pytest.param(b"", id="empty"),
    pytest.param(b"text", id="text"),
    pytest.param(bytes(range(256)), id="every byte"),
    pytest.param(b"12", id="looks like a number"),
    pytest.param(b"\r\n$3\r\nabc\r\n", id="looks like the protocol"),
    pytest.param("é\0ü".encode(), id="NUL and UTF-8"),
    pytest.param(b"\xff" * 300_000, id="large"),
]

KEYS = [
    pytest.param("session:" + "A" * 43, id="plain"),
    pytest.param("a{b}c", id="braces"),
    pytest.param("%s*?[a]^-]\\", id="glob"),
    pytest.param('it\'s "so"; --', id="quotes"),
    pytest.param("k" * 500, id="long"),
]
