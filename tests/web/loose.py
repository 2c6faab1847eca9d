"""A front whose clients have no sockets: transports that keep what they are told, a log to read."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from proxy.config.settings import Server
from proxy.rules.target import Trust
from proxy.web.connection import ClientConnection
from proxy.web.fast import FastLane
from proxy.web.front import Front, most_clients
from proxy.web.ledger import Ledger
from proxy.web.log import Log
from proxy.web.metrics import Metrics
from proxy.web.places import Places
from proxy.web.server import Handler
from proxy.wire.inbound import Request
from tests.fakes.clock import FakeClock
from tests.wire.stage import eventually

GET = b"GET /a HTTP/1.1\r\nHost: app\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """What a client's connection writes to; it tells its protocol of its end as the loop does."""

    def __init__(self, peer: object = ("192.0.2.7", 5000), *, half_closes: bool = True) -> None:
        super().__init__({"peername": peer})
        self.sent = bytearray()
        self.reading = True
        self.closing = self.aborted = self.ended = False
        self.holds = False
        """Whether the client reads nothing, so that ``close`` waits for ever."""
        self._half_closes = half_closes
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def writelines(self, list_of_data: Any) -> None:
        self.sent += b"".join(list_of_data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self.holds:
                self._tell()

    def abort(self) -> None:
        if not self.aborted:
            told = self.closing and not self.holds
            self.closing = self.aborted = True
            if not told:
                self._tell()

    def _tell(self) -> None:
        if self.protocol is not None:
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def can_write_eof(self) -> bool:
        return self._half_closes

    def write_eof(self) -> None:
        self.ended = True

    def is_reading(self) -> bool:
        return self.reading and not self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    @property
    def status(self) -> int:
        """That of the newest answer; 0 while there is none."""
        found = re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", self.sent)
        return int(found[-1]) if found else 0


class Lane:
    """A fast lane that takes what it is told to, and answers nothing by itself."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.offered: list[tuple[bytes, int]] = []

    def take(self, connection: ClientConnection, request: Request, data: bytes, end: int) -> bool:
        self.offered.append((data, end))
        return self.takes


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """The slow lane of these tests: answers with method, path and body."""
    body = await request.read()
    return web.Response(body=f"{request.method} {request.path} ".encode() + body)


class Loose:
    """A front, its clock, and what was told of its requests."""

    def __init__(
        self,
        *,
        lane: Lane | None = None,
        handler: Handler = echo,
        trust: Trust | None = None,
        **server: Any,
    ) -> None:
        self.time = 1000.0
        self.stream = io.StringIO()
        self.lane = lane
        self.clock = FakeClock()
        ids = itertools.count(1)
        self.metrics = Metrics()
        self.ledger = Ledger(
            trust or Trust("https", None), Log(self.stream, self.clock, "json", "debug"),
            self.metrics, self.clock, lambda: self.time, lambda: f"id{next(ids)}",
        )  # fmt: skip
        fast = cast(FastLane, lane) if lane is not None else None
        given = Server(**server)
        log = Log(self.stream, self.clock, "json", "debug")
        self.places = Places(most_clients(given), self.metrics, log, lambda: self.time)
        self.front = Front(given, handler, self.ledger, self.places, fast)
        self.front.now = lambda: self.time

    def client(self, wire: Wire | None = None) -> tuple[ClientConnection, Wire]:
        """A client comes."""
        wire = wire or Wire()
        connection = self.front()
        wire.protocol = connection
        connection.connection_made(wire)
        return connection, wire

    def sweep(self, seconds: float = 0.0) -> None:
        """Time passes, and the front looks after its connections."""
        self.time += seconds
        self.front._timers[0].cancel()
        self.front._sweep()

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    async def __aenter__(self) -> Loose:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.front.shutdown(0.1)
        await asyncio.sleep(0)


async def settled(condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition`` holds."""
    async with asyncio.timeout(5):
        await eventually(condition)
