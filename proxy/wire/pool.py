"""Connections to one upstream: reuse, limits, queue, deadlines.

Whatever changes the pool is a plain function that decides at once; awaiting comes after, so there
is nothing to race.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from proxy.errors import Reason, UpstreamError
from proxy.wire.addresses import Address, Addresses, Tell
from proxy.wire.connection import READ_SIZE, Connection
from proxy.wire.dial import Tls, dial
from proxy.wire.lookup import Resolve, resolve
from proxy.wire.origin import Origin
from proxy.wire.recall import Recall

__all__ = ["Limits", "Origin", "Pool"]

_BROKEN = (Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_TIMEOUT)

Slot: TypeAlias = None
"""The right to open one connection; it is counted already."""
Grant: TypeAlias = Connection | Slot


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Limits:
    """How long (seconds) and how many; ``idle_timeout`` is for silence in the middle of a body.

    ``max_connections`` counts those to all addresses together. A connection that is older than
    ``max_lifetime`` is not used again. Names are looked up again every ``dns_ttl``.
    """

    connect_timeout: float
    response_timeout: float
    idle_timeout: float
    queue_timeout: float
    keepalive: float
    max_connections: int
    max_lifetime: float = inf
    dns_ttl: float = 30.0


@dataclass(slots=True, eq=False, repr=False)
class _Seat:
    """Where a connection leads, until when it is reused, and whether that has ended early."""

    address: Address
    until: float
    is_over: bool = False


class Pool:
    """The connections of one upstream; the one used last is reused first.

    The upstream listens at ``origin`` and at ``others``, which are used in turn; ``server_name``
    is what TLS asks for and checks instead of their hosts. ``tell`` hears of addresses that begin
    to fail, and of those that are back. Every ``acquire`` or ``take_idle`` is
    followed by one ``release`` or ``detach``.
    """

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        ssl_context: ssl.SSLContext | None,
        clock: Callable[[], float],
        *,
        others: Sequence[Origin] = (),
        server_name: str = "",
        resolve: Resolve = resolve,
        tell: Tell = lambda address, reason: None,
    ) -> None:
        encrypted = ssl_context is not None
        if any((one.scheme == "https") != encrypted for one in (origin, *others)):
            raise ValueError("https needs an ssl_context, http takes none")
        self.origin = origin
        self.limits = limits
        self._tls = Tls(ssl_context, server_name) if ssl_context else None
        self._clock = clock
        self._idle: list[Connection] = []
        self._all: dict[Connection, _Seat] = {}
        self._addresses = Addresses(
            (origin, *others), resolve, limits.dns_ttl, clock, self._keep_away, tell
        )
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._recall = Recall()
        self._opening = 0
        self._waiters: deque[asyncio.Future[Grant]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        shortest = min(
            limits.response_timeout, limits.idle_timeout, limits.keepalive, limits.max_lifetime
        )
        self._interval = min(1.0, max(0.01, shortest / 8))

    def __repr__(self) -> str:
        busy = len(self._all) - len(self._idle)
        return (
            f"<Pool {self.origin}: {busy} busy, {len(self._idle)} idle, "
            f"{self._opening} opening, {len(self._waiters)} queued>"
        )

    def take_idle(self) -> Connection | None:
        """An open connection that waits for work, without awaiting; else ``acquire``."""
        return self._idle.pop() if self._idle else None

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection: idle (unless ``fresh``), new, or the next one that others release.

        Raises UpstreamError: upstream_unreachable, upstream_timeout (504), upstream_busy (503).
        """
        if self._closed:
            raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, "closing")
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
        seat = self._all.get(connection)
        if seat is None:
            return
        address = seat.address
        if address.has_failed and connection.reader.received and not seat.is_over:
            self._addresses.worked(address)
        if not connection.can_reuse or seat.is_over or self._closed:
            connection.abort()
            return
        connection.rest(self.limits.keepalive)
        if waiter := self._next_waiter():
            waiter.set_result(connection)
        else:
            self._idle.append(connection)

    def detach(self, connection: Connection) -> None:
        """Let go of a connection that lives on outside (a tunnel); its place is free again."""
        if seat := self._all.get(connection):
            self._addresses.worked(seat.address)
        self._forget(connection)

    async def close(self) -> None:
        """Close all connections, also those in use; those who wait get upstream_unreachable."""
        self._closed = True
        self._addresses.close()
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
            connection, address = await dial(
                self._addresses, self._tls, self.limits.connect_timeout, self._make
            )
        finally:
            self._opening -= 1
            if connection is None or self._closed or not connection.is_open:
                self._grant_slot()
            else:
                until = self._clock() + self.limits.max_lifetime
                self._all[connection] = _Seat(address, until)
        if self._closed:
            connection.abort()
            raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, "closing")
        if self._sweeper is None:
            self._arm()
        return connection

    def _make(self) -> Connection:
        return Connection(self._clock, self._forget, self._buffer, self._recall)

    def _keep_away(self, address: Address) -> None:
        """Requests go elsewhere: idle connections end at once, the others after their exchange."""
        for connection, seat in tuple(self._all.items()):
            if seat.address is address:
                self._retire(connection, seat)

    def _retire(self, connection: Connection, seat: _Seat) -> None:
        seat.is_over = True
        if connection in self._idle:
            connection.abort()

    def _forget(self, connection: Connection) -> None:
        seat = self._all.pop(connection, None)
        if seat is None:
            return
        error = connection.error
        broken = error is not None and error.reason in _BROKEN
        if broken and not connection.reader.received and not connection.is_stale:
            self._addresses.broke(seat.address, str(error))
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
        for connection, seat in tuple(self._all.items()):
            if seat.until <= now:
                self._retire(connection, seat)
            if connection.deadline <= now or connection.write_deadline <= now:
                connection.expire()
        if self._all:
            self._arm()
