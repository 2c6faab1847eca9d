"""Connections that were used once and are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from bench.clients.bodies import head
from bench.model import ScenarioFailed
from bench.place import Subject

_BATCH = 100
_PATIENCE = 30.0


class Kept(asyncio.Protocol):
    """One connection: a GET, its answer, and then silence."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._held = b""
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_open = True
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        text, found, body = self._held.partition(b"\r\n\r\n")
        if not found or len(body) < 128 or self.answered.done():
            return
        self._held = b""
        if text.startswith(b"HTTP/1.1 200 "):
            self.answered.set_result(None)
        else:
            self.answered.set_exception(ScenarioFailed(f"answered with {text[:100]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if not self.answered.done():
            self.answered.set_exception(ScenarioFailed("closed before its answer"))


@asynccontextmanager
async def kept(subject: Subject, number: int) -> AsyncIterator[list[Kept]]:
    """So many connections, each after its answer. Raises ScenarioFailed."""
    request = head("GET", subject.port, "/", subject.headers)
    loop, connections = asyncio.get_running_loop(), list[Kept]()
    try:
        async with asyncio.timeout(_PATIENCE + number / 500):
            while len(connections) < number:
                batch = min(_BATCH, number - len(connections))
                pairs = await asyncio.gather(
                    *(
                        loop.create_connection(lambda: Kept(request), "127.0.0.1", subject.port)
                        for _ in range(batch)
                    )
                )
                connections += [one for _, one in pairs]
                await asyncio.gather(*(one.answered for _, one in pairs))
        yield connections
    finally:
        for connection in connections:
            connection.transport.abort()
