"""One client connection: whole heads in, one request at a time, to the fast lane or the slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, cast

from proxy.errors import BadRequest, ProxyError, Reason
from proxy.rules.target import UNIX_PEER
from proxy.wire.inbound import HEAD_END, ChunkScanner, Request

if TYPE_CHECKING:
    from proxy.web.fast import Run
    from proxy.web.front import Front
    from proxy.web.server import SlowLane
    from proxy.web.sessions import Opened
    from proxy.web.visit import Visit

HELD_LIMIT = 64 * 1024
"""Bytes kept of requests that came before the last one was answered."""


class Stage(Enum):
    """What the connection is doing."""

    REST = "nothing"
    HEAD = "a head is coming in"
    BODY = "a body is coming in, and perhaps an answer going out"
    BUSY = "the request is in, its answer is not yet out"
    TUNNEL = "nothing: the transport is a tunnel's"
    CLOSING = "refused: what still comes is not read"


class ClientConnection(asyncio.Protocol):
    """The client's side of each exchange (``wire``'s Downstream).

    The fast lane is offered every request first; aiohttp (``slow``) gets the bytes of those that
    it declines, and never sees a request before the one before is answered.
    """

    __slots__ = (
        "_held", "_is_answered", "_is_waited_for", "_left", "_scanner", "_since", "_taken",
        "broken", "deadline", "exchange", "front", "handed", "http11", "is_last", "is_paused",
        "opened", "peer", "request", "resumed", "slow", "stage", "started", "transport",
    )  # fmt: skip

    def __init__(self, front: Front) -> None:
        self.front = front
        self.stage = Stage.REST
        self.deadline = inf
        self.peer = ""
        self.request: Request | None = None
        self.exchange: Run | None = None
        self.broken: BadRequest | None = None
        """Why the body that is coming in is not read to its end."""
        self.opened: Opened | None = None
        """Whose request the slow lane serves."""
        self.handed: tuple[Visit, ProxyError | None] | None = None
        self.slow: SlowLane | None = None
        self.resumed: Callable[[], None] | None = None
        self.http11 = True
        self.is_paused = self.is_last = self.started = self._is_answered = False
        self._held = b""
        self._left = self._taken = 0
        self._since = 0.0
        self._is_waited_for = False
        self._scanner: ChunkScanner | None = None

    # What an exchange asks of its client

    @property
    def keep_alive(self) -> bool:
        """Asked when the response's head is written: by then the process may be stopping."""
        request = self.request
        return (
            request is not None
            and request.keep_alive
            and not (self.is_last or self.front.is_draining)
        )

    @property
    def serving(self) -> Opened | None:
        """Whose request is being answered; None for nobody's."""
        return self.exchange.opened if self.exchange is not None else self.opened

    def write(self, data: bytes) -> None:
        """Queue bytes for the client. Raises ConnectionResetError when it has gone."""
        if self.transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self.started = True
        self.transport.write(data)

    def ask_for_body(self) -> None:
        """Say 100 Continue: from now on the body must come (RFC 9110 section 10.1.1)."""
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.started = self._is_waited_for = False
        self._since = self.front.now()

    def abort(self) -> None:
        """End the connection so that nobody takes what was sent for the whole."""
        self.transport.abort()

    # Callbacks of the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is not None:  # else it has gone again, and is nobody to be trusted
            self.peer = str(peer[0]) if isinstance(peer, tuple) and peer else UNIX_PEER
        self.front.add(self)

    def data_received(self, data: bytes) -> None:
        stage = self.stage
        if stage is Stage.REST:
            self._read(data)
        elif stage is Stage.HEAD:
            data, self._held = self._held + data, b""
            self._read(data)
        elif stage is Stage.BODY:
            self._read_body(data)
        elif stage is Stage.BUSY:
            self._held += data
            if len(self._held) > HELD_LIMIT:
                self.transport.pause_reading()

    def eof_received(self) -> None:
        """A client that sends no more has gone, as for nginx."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.stage = Stage.CLOSING
        self.front.remove(self)
        if self.exchange is not None:
            self.exchange.lost()
        if self.slow is not None:
            self.slow.connection_lost(exc)
            self.slow = None

    def pause_writing(self) -> None:
        self.is_paused = True
        if self.slow is not None:
            self.slow.pause_writing()

    def resume_writing(self) -> None:
        self.is_paused = False
        if self.resumed is not None:
            self.resumed()
        if self.slow is not None:
            self.slow.resume_writing()

    # Requests in

    def _read(self, data: bytes) -> None:
        """``data`` begins with a request."""
        front = self.front
        end = data.find(HEAD_END) + 4
        if end == 3:
            self._await_head(data)
            return
        try:
            # One empty line before a request is forgiven (RFC 9112 section 2.2).
            if data[0] == 13 and data[:2] == b"\r\n":
                data, end = data[2:], end - 2
            request = front.reader.read(data if end == len(data) else data[:end])
        except BadRequest as error:
            self.refuse(error)
            return
        self.deadline = inf
        self.request = request
        self.http11 = request.http11
        length = request.length
        if length is None or length > len(data) - end:
            self._stream(data, end)
        else:
            if len(data) != end + length:
                self._held = data[end + length :]
                data = data[: end + length]
            # The request is here as a whole.
            self.stage = Stage.BUSY
            if front.fast is None or not front.fast.take(self, request, data, end):
                self.go_slow(data)

    def _await_head(self, data: bytes) -> None:
        if self.stage is not Stage.HEAD:
            self.stage = Stage.HEAD
            self.deadline = self.front.now() + self.front.limits.header_timeout
        self._held = data
        try:
            # one CRLF may come before a request
            self.front.reader.check_partial(data[2:] if data[:2] == b"\r\n" else data)
        except BadRequest as error:
            if data not in (b"\r", b"\r\n"):
                self.refuse(error)

    def _stream(self, data: bytes, end: int) -> None:
        """A request whose body is still coming."""
        self.stage = Stage.BODY
        request = cast(Request, self.request)
        self._since, self._taken = self.front.now(), 0
        self._is_waited_for = request.expects and request.http11
        self._scanner = ChunkScanner() if request.length is None else None
        self._left = request.length or 0
        self.go_slow(data[:end])
        if len(data) > end and self.stage is Stage.BODY:
            self._read_body(data[end:])

    def _read_body(self, data: bytes) -> None:
        slow = self.slow
        self._taken += len(data)
        if slow is None or self.broken is not None:
            return
        if self._scanner is None:
            part, rest = data[: self._left], data[self._left :]
            self._left -= len(part)
            self._held += rest
            is_over = not self._left
        else:
            part = data
            try:
                self._scanner.feed(data)
            except BadRequest as error:
                self._fail_body(error)
                return
            # Where the next request begins is known to nobody but the parser: none is taken.
            is_over, self.is_last = self._scanner.complete, self.is_last or self._scanner.excess
        if is_over:
            self._scanner = None
            self.stage = Stage.BUSY
        slow.data_received(part)
        if slow.has_lost_body:
            self._fail_body(BadRequest(Reason.BAD_BODY, "the body's end is not HTTP"))
        if is_over and self._is_answered:
            self.answered()

    def _fail_body(self, error: BadRequest) -> None:
        """Whoever reads the body gets ``error``; no other request is taken."""
        self.is_last = True
        if self.broken is None:
            self.broken = error
            if self.slow is not None:
                self.slow.fail_body(error)

    def go_slow(self, data: bytes) -> None:
        """Let aiohttp serve the request."""
        if self.slow is None:
            self.slow = self.front.make_slow(self)
        self.slow.data_received(data)

    # Answers out

    def answered(self) -> None:
        """The answer has been written."""
        if self.stage is Stage.BODY:
            self._is_answered = True  # to be kept only if the rest of the body comes
            return
        if self.stage is not Stage.BUSY:
            return
        self._is_answered = self.started = False
        self.request = self.handed = None
        if self.is_last:
            self.transport.close()
            return
        if self.is_paused:
            # The client reads no answers: no other request, they would heap up here.
            self.deadline = self.front.now() + self.front.limits.keepalive_timeout
            self.resumed = self._has_read
            return
        if not self._held:
            self.stage = Stage.REST
            self.deadline = self.front.now() + self.front.limits.keepalive_timeout
            return
        self.stage = Stage.HEAD
        self.deadline = self.front.now() + self.front.limits.header_timeout
        self.transport.resume_reading()
        self.front.call_soon(self._go_on)

    def _has_read(self) -> None:
        self.resumed = None
        self.answered()

    def _go_on(self) -> None:
        """Take the next of several requests that came at once."""
        if self.stage is Stage.HEAD and self._held and not self.transport.is_closing():
            data, self._held = self._held, b""
            self._read(data)

    def hand_over(self) -> bytes:
        """A tunnel takes the transport; returns what came after the request: its first frames."""
        self.stage = Stage.TUNNEL
        data, self._held = self._held, b""
        return data

    def refuse(self, error: ProxyError) -> None:
        """Answer what could not be read, and close."""
        self.stage = Stage.CLOSING
        self.deadline = self.front.now() + self.front.limits.linger
        self._held = b""
        if not self.transport.is_closing():
            self.transport.write(self.front.refusal(self, error))
            # The answer would be lost in a reset if bytes came that nobody reads.
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.transport.close()

    # Time

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        if self.stage is Stage.HEAD:
            self.refuse(BadRequest(Reason.BAD_HEADER, "the head took too long", status=408))
        else:
            self.transport.abort()

    def check_rate(self, now: float, least: float, grace: float) -> None:
        """Refuse a body that comes in at fewer than ``least`` bytes a second, after ``grace``.

        Time in which we did not read does not count, nor what passes before a 100 Continue.
        """
        if self.stage is not Stage.BODY or self.slow is None:
            return
        if not self.transport.is_reading() or (self._is_waited_for and not self._taken):
            self._since, self._taken = now, 0
        elif now - self._since > grace and self._taken < least * (now - self._since):
            words = "the client sends too slowly"
            self._fail_body(BadRequest(Reason.BAD_BODY, words, status=408))
