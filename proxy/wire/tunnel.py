"""A WebSocket: its handshake through the pool, then bytes both ways until one side ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from proxy.errors import BadRequest, Reason, UpstreamError
from proxy.wire.connection import Connection
from proxy.wire.forward import run
from proxy.wire.frames import FrameScanner, accept_key, close_frame
from proxy.wire.http1 import response_bytes
from proxy.wire.message import Downstream, Exchanged, Headers, Render, RequestHead, ResponseHead
from proxy.wire.pool import Pool

_UPGRADE = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Upgraded:
    """A handshake that both sides agreed to; ``tail`` is what the upstream has sent since.

    The connection belongs to the holder: hand it to a ``Tunnel``, or abort it.
    """

    connection: Connection
    tail: bytes


async def upgrade(
    pool: Pool, head: RequestHead, client: Downstream, render: Render
) -> Exchanged | Upgraded:
    """Forward a WebSocket handshake; ``Upgraded`` when the client has got the upstream's 101.

    Any other answer is forwarded as it is. Raises as ``forward`` does, and UpstreamError
    (upstream_invalid) for a 101 that does not answer the client's key (RFC 6455 section 4.1).
    """
    key = _only(head.headers, b"sec-websocket-key")
    if key is None:
        raise BadRequest(Reason.BAD_HEADER, "a WebSocket handshake has one Sec-WebSocket-Key")
    exchange = await run(pool, head, None, client, render, _UPGRADE)
    if exchange.outcome is not None:
        return exchange.outcome
    connection = exchange.connection
    try:
        response = cast(ResponseHead, connection.reader.head)
        _check_switch(response, key)
        client.write(response_bytes(response, render(response), _UPGRADE))
    except BaseException:
        exchange.cancel()
        raise
    pool.detach(connection)
    connection.on_progress = None
    return Upgraded(connection, connection.reader.take())


def _check_switch(response: ResponseHead, key: bytes) -> None:
    protocol = _only(response.headers, b"upgrade")
    if protocol is None or protocol.lower() != b"websocket":
        raise UpstreamError(Reason.UPSTREAM_INVALID, "switched to a protocol nobody asked for")
    if _only(response.headers, b"sec-websocket-accept") != accept_key(key):
        raise UpstreamError(Reason.UPSTREAM_INVALID, "a wrong Sec-WebSocket-Accept")


def _only(headers: Headers, name: bytes) -> bytes | None:
    """The value of a header that comes once, without white space around it; else None."""
    values = [value.strip() for field, value in headers if field.lower() == name]
    return values[0] if len(values) == 1 else None


class _Side(asyncio.Protocol):
    """One end of a tunnel: what arrives here leaves at the ``other`` end."""

    __slots__ = ("count", "eof", "lost", "other", "scanner", "transport", "tunnel")

    other: _Side

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.transport = transport
        self.scanner = FrameScanner()
        self.count = 0
        self.eof = self.lost = False

    def data_received(self, data: bytes) -> None:
        self.scanner.feed(data)
        if self.tunnel.is_ending:
            if self.scanner.closing:  # its answer to our Close
                self.transport.close()
            return
        self.count += len(data)
        if not self.other.transport.is_closing():
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        self.eof = True
        return self.tunnel.half_closed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.tunnel.side_lost(self)

    def say_close(self, frame: bytes) -> None:
        """Send a Close frame from us if one fits in here, then wait for the answer; else close."""
        sent = self.other.scanner
        if sent.at_boundary and not (sent.closing or self.other.eof or self.transport.is_closing()):
            self.transport.write(frame)
            if not self.scanner.closing:
                self.transport.resume_reading()
                return
        self.transport.close()


class Tunnel:
    """Moves bytes between a client's transport and an upgraded connection, unchanged.

    A slow side pauses the other one. The end of one side's stream is passed on; when a side has
    closed, the other is closed too, after what it is owed is flushed, ``linger`` seconds later at
    the latest.
    """

    def __init__(
        self,
        client: asyncio.Transport,
        upgraded: Upgraded,
        *,
        linger: float = 2.0,
        rng: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.is_ending = False
        self._upgraded = upgraded
        self._linger = linger
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._client = _Side(self, client)
        self._upstream = _Side(self, upgraded.connection.transport)
        self._client.other, self._upstream.other = self._upstream, self._client

    @property
    def bytes_in(self) -> int:
        """Bytes that came from the client."""
        return self._client.count

    @property
    def bytes_out(self) -> int:
        """Bytes for the client."""
        return self._upstream.count

    def start(self, received: bytes = b"") -> None:
        """Take over both transports; ``received`` is what was read of the client already."""
        client, upstream, connection = self._client, self._upstream, self._upgraded.connection
        for side in (client, upstream):
            side.transport.set_protocol(side)
        if tail := self._upgraded.tail + connection.reader.take():
            upstream.data_received(tail)
        if received:
            client.data_received(received)
        # A transport that ended before it was ours tells its former protocol, not us.
        for side, is_closed in (
            (client, client.transport.is_closing()),
            (upstream, not connection.is_open),
        ):
            if is_closed:
                self.side_lost(side)
            else:
                side.transport.resume_reading()

    def end(self, code: int, reason: str) -> None:
        """The session is over: a Close frame to both sides where one fits, then close them."""
        if not self.is_ending:
            self.is_ending = True
            self._client.say_close(close_frame(code, reason))
            self._upstream.say_close(close_frame(code, reason, self._rng(4)))
            self._arm()

    async def closed(self) -> None:
        """Return when both sides are closed."""
        await asyncio.shield(self._closed)

    def half_closed(self, side: _Side) -> bool:
        """A side sends no more; return whether its own stream stays open for the answer."""
        other = side.other
        self._arm()
        # TLS has no half-open state in asyncio.
        can_wait = side.transport.can_write_eof() and other.transport.can_write_eof()
        if other.eof or self.is_ending or not can_wait or other.transport.is_closing():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def side_lost(self, side: _Side) -> None:
        """A side is closed."""
        side.lost = True
        if not side.other.lost:
            side.other.transport.close()
            self._arm()
            return
        if self._timer is not None:
            self._timer.cancel()
        if not self._closed.done():
            self._closed.set_result(None)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._linger, self._abort)

    def _abort(self) -> None:
        self._client.transport.abort()
        self._upstream.transport.abort()
