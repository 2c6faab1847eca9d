"""All client connections: their limits, their deadlines, and who serves their requests."""

from __future__ import annotations

import asyncio
import resource
import select
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Final

from proxy.config.settings import Server as ServerSettings
from proxy.errors import ProxyError
from proxy.web.connection import ClientConnection, Stage
from proxy.web.ledger import Ledger
from proxy.web.places import Places
from proxy.web.problems import unread
from proxy.web.server import Handler, SlowLane, SlowServer
from proxy.wire.inbound import HeadLimits, HeadReader

if TYPE_CHECKING:
    from proxy.web.fast import FastLane

SWEEP: Final = 0.5
WATCH: Final = 0.05
_SPARE_FILES: Final = 256


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrontLimits:
    """In seconds, and bytes a second."""

    header_timeout: float
    keepalive_timeout: float
    min_body_rate: float
    body_grace: float
    linger: float = 2.0


def most_clients(settings: ServerSettings) -> int:
    """As configured, but no more than the process may have open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.max_connections
    return min(settings.max_connections, max(64, files - _SPARE_FILES))


def front_limits(settings: ServerSettings) -> FrontLimits:
    return FrontLimits(
        header_timeout=settings.header_timeout,
        keepalive_timeout=settings.keepalive_timeout,
        min_body_rate=settings.min_body_rate,
        body_grace=settings.body_grace,
    )


class Front:
    """Makes a ClientConnection for each client; call it as a protocol factory."""

    def __init__(
        self,
        settings: ServerSettings,
        handler: Handler,
        ledger: Ledger,
        places: Places,
        fast: FastLane | None = None,
    ) -> None:
        self.limits = front_limits(settings)
        self.places = places
        self.reader = HeadReader(
            HeadLimits(settings.max_url_size, settings.max_header_size, settings.max_headers)
        )
        self.fast = fast
        self.is_draining = False
        self._ledger = ledger
        self.connections: set[ClientConnection] = set()
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.call_soon = loop.call_soon
        self._loop = loop
        self._slow = SlowServer(handler, settings, ledger.unreadable)
        self._timers = [
            loop.call_later(SWEEP, self._sweep),
            loop.call_later(WATCH, self._watch),
        ]

    def __call__(self) -> ClientConnection:
        return ClientConnection(self)

    def add(self, connection: ClientConnection) -> None:
        """A client has come; one too many is turned away at once."""
        if not self.places.take():
            connection.stage = Stage.CLOSING
            connection.transport.write(_FULL)
            connection.transport.close()
            return
        self.connections.add(connection)
        connection.deadline = self.now() + self.limits.keepalive_timeout

    def remove(self, connection: ClientConnection) -> None:
        """A client has gone."""
        if connection in self.connections:
            self.connections.remove(connection)
            self.places.give_back()

    def make_slow(self, connection: ClientConnection) -> SlowLane:
        """aiohttp's protocol for a connection."""
        slow = self._slow.make(connection)
        slow.connection_made(connection.transport)
        return slow

    def refusal(self, connection: ClientConnection, error: ProxyError) -> bytes:
        """The whole answer to a request that could not be read, as aiohttp's lane words it."""
        request_id = self._ledger.unreadable(connection, error.status, error.reason)
        kind, body = unread(error.status, error.reason, request_id)
        lines = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
            "Server: auth-proxy",
            "Cache-Control: no-store",
            f"X-Request-Id: {request_id}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def close_idle(self, busy: Collection[object] = ()) -> None:
        """Close the connections that serve no request."""
        for connection in tuple(self.connections):
            if connection not in busy and connection.stage is not Stage.CLOSING:
                connection.stage = Stage.CLOSING
                connection.transport.close()

    async def shutdown(self, timeout: float) -> None:
        """Stop, and end whatever still runs."""
        for timer in self._timers:
            timer.cancel()
        await self._slow.shutdown(timeout)
        for connection in tuple(self.connections):
            connection.transport.abort()

    def _sweep(self) -> None:
        """One timer for all: cheaper than one for each request."""
        self._timers[0] = self._loop.call_later(SWEEP, self._sweep)
        now, limits = self.now(), self.limits
        for connection in tuple(self.connections):
            if connection.deadline <= now:
                connection.expire(now)
            elif connection.deadline == inf and connection.transport.is_closing():
                # Closing waits for a client that reads its last answer: not for ever.
                connection.deadline = now + limits.keepalive_timeout
            elif connection.stage is Stage.BODY and limits.min_body_rate:
                connection.check_rate(now, limits.min_body_rate, limits.body_grace)
            elif connection.stage is Stage.REST and connection.slow is not None:
                connection.slow.retire()

    def _watch(self) -> None:
        """See clients go whom nobody reads: the event loop would not tell of them."""
        self._timers[1] = self._loop.call_later(WATCH, self._watch)
        unread = {
            file.fileno(): connection
            for connection in self.connections
            if connection.stage in (Stage.BUSY, Stage.BODY)
            and not connection.transport.is_reading()
            # one that is closing has an answer to deliver yet
            and not connection.transport.is_closing()
            and (file := connection.transport.get_extra_info("socket")) is not None
        }
        if not unread:
            return
        poll = select.poll()
        for number in unread:
            if number >= 0:
                poll.register(number, select.POLLRDHUP)
        for number, _ in poll.poll(0):
            unread[number].transport.abort()


_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: auth-proxy\r\nContent-Length: 0\r\n"
    b"Retry-After: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
)
