"""One exchange between a client and an upstream that are both played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import cast

from proxy.wire.connection import READ_SIZE, Connection
from proxy.wire.exchange import Exchange, Stage
from proxy.wire.message import Body, Render, ResponseHead
from proxy.wire.pool import Pool
from tests.wire.stage import Client, as_is, limits

ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
START = b"HTTP/1.1 200 OK\r\n"
LONG = START + b"Content-Length: 10\r\n\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = START + b"\r\n"


class Socket(asyncio.Transport):
    """The upstream's socket: keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.reading = True
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


class Shelf:
    """A pool of one connection: counts how often it comes back, and does with it as pools do."""

    def __init__(self) -> None:
        self.limits = limits(response=7, idle=3)
        self.returned = self.kept = self.lost = 0

    def release(self, connection: Connection) -> None:
        self.returned += 1
        if connection.can_reuse:
            self.kept += 1
            connection.rest(60)
        else:
            connection.abort()

    def forget(self, connection: Connection) -> None:
        self.lost += 1


class Leaving(Client):
    """A client that goes after some writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self._left = writes

    def write(self, data: bytes) -> None:
        if not self._left:
            raise ConnectionResetError("gone")
        self._left -= 1
        super().write(data)


class Told(Exchange):
    """An exchange that tells the test what it is told."""

    def __init__(self, act: Act, method: bytes) -> None:
        super().__init__(cast(Pool, act.shelf), act.upstream, method, act.client)
        self._act = act

    def render(self, head: ResponseHead) -> list[tuple[bytes, bytes]]:
        return self._act.render(head)

    def over(self) -> None:
        self._act.done += 1
        self._act.then()


class Act:
    """The scene; ``done`` counts how often the exchange said that it is over."""

    def __init__(self, client: Client | None = None, render: Render = as_is) -> None:
        self.now = 100.0
        self.shelf, self.socket = Shelf(), Socket()
        self.client = client or Client()
        self.render = render
        self.upstream = Connection(lambda: self.now, self.shelf.forget)
        self.upstream.connection_made(self.socket)
        self.done = 0
        self.then: Callable[[], None] = lambda: None

    def start(self, body: Body | None = None, method: bytes = b"GET", **options: bool) -> Exchange:
        self.exchange = Told(self, method)
        self.exchange.begin(ASK, body, **options)
        return self.exchange

    def says(self, data: bytes) -> None:
        """Bytes of the upstream arrive."""
        for start in range(0, len(data), READ_SIZE):
            part = data[start : start + READ_SIZE]
            self.upstream.get_buffer(-1)[: len(part)] = part
            self.upstream.buffer_updated(len(part))

    def ends(self) -> None:
        self.upstream.eof_received()

    def breaks(self) -> None:
        self.upstream.connection_lost(ConnectionResetError())

    def expires(self) -> None:
        """The sweeper of a pool comes by when the deadline has passed."""
        assert self.upstream.deadline < inf
        self.now = self.upstream.deadline
        self.upstream.expire()

    def over(self, *, kept: bool) -> None:
        """Whatever happens afterwards, it was told once and given back once."""
        self.ends()
        self.client.resume()
        self.exchange.cancel()
        assert self.exchange.stage is Stage.DONE
        assert (self.done, self.shelf.returned, self.shelf.kept) == (1, 1, int(kept))
        assert self.socket.aborted
        assert self.client.resumed is None
        assert (self.exchange.outcome is None) is (self.exchange.failure is not None)
