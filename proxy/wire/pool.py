"""Connections to one upstream: reuse, limits, queue, deadlines.

Whatever changes the pool is a plain function that decides at once; awaiting comes after, so there
is nothing to race.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from proxy.errors import Reason, UpstreamError
from proxy.wire.connection import Connection

_PORTS = {"http": 80, "https": 443}

Slot: TypeAlias = None
"""The right to open one connection; it is counted already."""
Grant: TypeAlias = Connection | Slot


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an upstream listens; ``host`` has no brackets."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Read ``http://host:port`` (a path is left out). Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ValueError(f"not the URL of an upstream: {url!r}")
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: what a Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long (seconds) and how many; ``idle_timeout`` is for silence in the middle of a body."""

    connect_timeout: float
    response_timeout: float
    idle_timeout: float
    queue_timeout: float
    keepalive: float
    max_connections: int


class Pool:
    """The connections of one origin; the one used last is reused first.

    Every ``acquire`` or ``take_idle`` is followed by one ``release`` or ``detach``.
    """

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        ssl_context: ssl.SSLContext | None,
        clock: Callable[[], float],
    ) -> None:
        if (origin.scheme == "https") != (ssl_context is not None):
            raise ValueError("https needs an ssl_context, http takes none")
        self.origin = origin
        self.limits = limits
        self._ssl = ssl_context
        self._clock = clock
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[Grant]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        shortest = min(limits.response_timeout, limits.idle_timeout, limits.keepalive)
        self._interval = min(1.0, max(0.01, shortest / 8))

    def __repr__(self) -> str:
        busy = len(self._all) - len(self._idle)
        return (
            f"<Pool {self.origin.authority}: {busy} busy, {len(self._idle)} idle, "
            f"{self._opening} opening, {len(self._waiters)} queued>"
        )

    def take_idle(self) -> Connection | None:
        """An open connection that waits for work, without awaiting; else ``acquire``."""
        return self._idle.pop() if self._idle else None

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection: idle (unless ``fresh``), new, or the next one that others release.

        Raises UpstreamError: upstream_unreachable, upstream_timeout (504), upstream_busy (503).
        """
        if not fresh and (idle := self.take_idle()):
            return idle
        while not self._claim():
            grant = await self._queued()
            if grant is None:
                break
            if grant.is_open:  # it may have closed between being granted and our turn
                return grant
        return await self._connect()

    def release(self, connection: Connection) -> None:
        """Give back; it is kept if its exchange ended well, else closed at once.

        Does nothing for a connection that is lost or detached.
        """
        if connection not in self._all:
            return
        if not connection.can_reuse or self._closed:
            connection.abort()
            return
        connection.rest(self.limits.keepalive)
        if waiter := self._next_waiter():
            waiter.set_result(connection)
        else:
            self._idle.append(connection)

    def detach(self, connection: Connection) -> None:
        """Let go of a connection that lives on outside (a tunnel); its place is free again."""
        self._forget(connection)

    async def close(self) -> None:
        """Close all connections, also those in use; those who wait get upstream_unreachable."""
        self._closed = True
        while waiter := self._next_waiter():
            waiter.set_exception(UpstreamError(Reason.UPSTREAM_UNREACHABLE, "closing"))
        for connection in tuple(self._all):
            connection.fail(UpstreamError(Reason.UPSTREAM_UNREACHABLE, "closing"))
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        await asyncio.sleep(0)  # the loop closes the sockets

    def _claim(self) -> bool:
        """Take a slot if there is one, at the cost of the oldest idle connection if need be."""
        if len(self._all) + self._opening >= self.limits.max_connections:
            if not self._idle:
                return False
            self._idle[0].abort()
        self._opening += 1
        return True

    async def _queued(self) -> Grant:
        waiter: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self.limits.queue_timeout):
                return await waiter
        except BaseException as error:
            self._pass_on(waiter)
            if isinstance(error, TimeoutError):
                words = f"{self.limits.max_connections} connections in use"
                raise UpstreamError(Reason.UPSTREAM_BUSY, words, status=503) from None
            raise

    def _pass_on(self, waiter: asyncio.Future[Grant]) -> None:
        """Nobody waits here any more: what was granted all the same goes to the next one."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            return
        if (grant := waiter.result()) is not None:
            self.release(grant)
        else:
            self._opening -= 1
            self._grant_slot()

    async def _connect(self) -> Connection:
        """Use a slot that is ours."""
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self.limits.connect_timeout):
                connection = await self._open_socket()
        except TimeoutError:
            words = f"connecting to {self.origin.authority} took too long"
            raise UpstreamError(Reason.UPSTREAM_TIMEOUT, words, status=504) from None
        except (OSError, UnicodeError) as error:
            words = f"cannot connect to {self.origin.authority}: {error}"
            raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, words) from error
        finally:
            self._opening -= 1
            if connection is None or self._closed or not connection.is_open:
                self._grant_slot()
            else:
                self._all.add(connection)
        if self._closed:
            connection.abort()
            raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, "closing")
        if self._sweeper is None:
            self._arm()
        return connection

    async def _open_socket(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._clock, self._forget),
            self.origin.host,
            self.origin.port,
            ssl=self._ssl,
            server_hostname=self.origin.host if self._ssl else None,
        )
        return connection

    def _forget(self, connection: Connection) -> None:
        if connection not in self._all:
            return
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._grant_slot()

    def _grant_slot(self) -> None:
        if len(self._all) + self._opening >= self.limits.max_connections:
            return
        if waiter := self._next_waiter():
            self._opening += 1
            waiter.set_result(None)

    def _next_waiter(self) -> asyncio.Future[Grant] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(self._interval, self._sweep)

    def _sweep(self) -> None:
        """One timer for all connections: cheaper than one for each request."""
        self._sweeper = None
        now = self._clock()
        for connection in tuple(self._all):
            if connection.deadline <= now or connection.write_deadline <= now:
                connection.expire()
        if self._all:
            self._arm()
