"""One upstream connection: a socket's events in, one response at a time out."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from math import inf
from typing import cast

from proxy.errors import ProxyError, Reason, UpstreamError
from proxy.wire.reader import ResponseReader

BUFFER_LIMIT = 64 * 1024
"""Body bytes kept unread before the upstream is paused."""


class Connection(asyncio.Protocol):
    """Carries one exchange at a time: ``begin``, then ``more`` until ``reader`` has it all.

    ``deadline`` and ``write_deadline`` (by ``clock``) are when the upstream has been silent, or
    has not read, for too long; whoever owns the connection calls ``expire`` when one has passed:
    that is cheaper than a timer for each request. ``on_lost`` is called once, when the connection
    cannot be used any more.
    """

    __slots__ = (
        "_busy", "_clock", "_drain", "_loop", "_on_lost", "_open", "_reading_paused", "_transport",
        "_used", "_waiter", "_write_paused", "deadline", "error", "reader", "reused", "uploading",
        "whole", "write_deadline",
    )  # fmt: skip

    def __init__(self, clock: Callable[[], float], on_lost: Callable[[Connection], None]) -> None:
        self.reader = ResponseReader()
        self.error: ProxyError | None = None
        self.uploading = self.reused = False
        self.whole = True
        self.deadline = self.write_deadline = inf
        self._clock = clock
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._open = self._busy = self._used = False
        self._reading_paused = self._write_paused = False

    @property
    def can_reuse(self) -> bool:
        """Whether the exchange is over on both sides without any doubt about framing."""
        reader = self.reader
        return (
            reader.complete
            and reader.keep_alive
            and not reader.excess
            and self._open
            and self.whole
        )

    @property
    def is_stale(self) -> bool:
        """Whether an idle connection turned out to be closed before any byte of the response.

        Then the upstream may still never have seen the request (RFC 9112 section 9.3.1).
        """
        return (
            self.reused
            and not self._open
            and not self.reader.received
            and self.error is not None
            and self.error.reason is Reason.UPSTREAM_UNREACHABLE
        )

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def transport(self) -> asyncio.Transport:
        return self._transport

    def begin(self, request: bytes, *, no_body: bool = False, upgrade: bool = False) -> None:
        """Start an exchange with ``request``, in one write."""
        self.reader.begin(no_body=no_body, upgrade=upgrade)
        self.whole = True
        self.reused = self._used
        self._busy = self._used = True
        if self._open:
            self.error = None
            self.deadline = inf
            self._transport.write(request)
        else:
            self.error = UpstreamError(Reason.UPSTREAM_UNREACHABLE, "the connection was closed")

    def rest(self, keepalive: float) -> None:
        """The exchange is over; wait idle for the next one, ``keepalive`` seconds at most."""
        self._busy = False
        self.deadline = self._clock() + keepalive
        self._resume()

    def more(self, timeout: float) -> asyncio.Future[None]:
        """Wait for a head, for body bytes or for the end. Raises what broke the exchange.

        The upstream has ``timeout`` seconds, beginning when the upload (if any) is through.
        """
        if self.error is not None:
            raise self.error
        self._resume()
        if not self.uploading:
            self.deadline = self._clock() + timeout
        self._waiter = self._loop.create_future()
        return self._waiter

    def take(self) -> bytes:
        """The body bytes that arrived; the upstream may send more."""
        data = self.reader.take()
        self._resume()
        return data

    def pause(self) -> None:
        """Read no more until ``take`` or ``more``: the client is slow."""
        if self._open and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def send(self, data: bytes) -> bool:
        """Send a part of the request's body; False when the connection is closed."""
        if self._open:
            self._transport.write(data)
        return self._open

    def uploads(self) -> None:
        """More of the request follows by ``send``: no deadline for the answer yet."""
        self.uploading = True
        self.whole = False

    async def drained(self, timeout: float) -> None:
        """Wait until the upstream reads again, or the connection is closed."""
        if self._write_paused and self._open:
            self.write_deadline = self._clock() + timeout
            self._drain = self._loop.create_future()
            await self._drain

    def uploaded(self, timeout: float) -> None:
        """The request is sent whole: from now on the upstream has ``timeout`` seconds."""
        self.uploading = False
        self.whole = True
        if self._waiter is not None:
            self.deadline = self._clock() + timeout

    def expire(self) -> None:
        """A deadline has passed."""
        if self._busy:
            words = "too slow to answer" if self.reader.head is None else "silent for too long"
            self.fail(UpstreamError(Reason.UPSTREAM_TIMEOUT, words, status=504))
        else:
            self.abort()

    def fail(self, error: ProxyError) -> None:
        """Break the exchange: whoever waits gets ``error``."""
        if self.error is None:
            self.error = error
        self.abort()

    def abort(self) -> None:
        """Close at once, dropping what is buffered."""
        if self._open:
            self._ended()

    # Callbacks of the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open = True

    def data_received(self, data: bytes) -> None:
        if not self._open:
            return
        if not self._busy:
            self.abort()  # nobody asked: what follows could be taken for the next answer
            return
        reader = self.reader
        head = reader.head
        try:
            reader.feed(data)
        except UpstreamError as error:
            self.fail(error)
            return
        if reader.buffered > BUFFER_LIMIT or reader.upgraded:
            self.pause()
        # A part of a head or of a trailer wakes nobody, and so does not move the deadline.
        if reader.buffered or reader.complete or reader.head is not head:
            self._wake()

    def eof_received(self) -> bool:
        if self._open:
            self._close_cleanly()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._open:
            return
        if exc is None:
            self._close_cleanly()
            return
        if not (self.whole or self.reader.complete):
            self._rescue()
        self._break(f"the connection broke: {exc.__class__.__name__}")

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._release_drain()

    def _close_cleanly(self) -> None:
        if self._busy and not self.reader.end():
            self._break("the connection was closed too early")
        else:
            self._ended()

    def _break(self, words: str) -> None:
        if self._busy and not self.reader.complete and self.error is None:
            self.error = UpstreamError(Reason.UPSTREAM_UNREACHABLE, words)
        self._ended()

    def _ended(self) -> None:
        self._open = False
        self._transport.abort()
        self._release_drain()
        self._wake()
        self._on_lost(self)

    def _rescue(self) -> None:
        """Read what the upstream said before it refused the rest of the upload.

        A failed write makes the loop drop the socket although an early answer (413, say) may
        still lie in the kernel's buffer. Encrypted bytes are of no use here.
        """
        if self._transport.get_extra_info("sslcontext") is not None:
            return
        try:
            number = os.dup(self._transport.get_extra_info("socket").fileno())
            with socket.socket(fileno=number) as leftover:
                leftover.setblocking(False)
                if data := leftover.recv(BUFFER_LIMIT):
                    self.reader.feed(data)
        except (OSError, UpstreamError):
            return

    def _resume(self) -> None:
        if self._reading_paused and self._open:
            self._reading_paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            self.deadline = inf
            if not waiter.done():
                waiter.set_result(None)

    def _release_drain(self) -> None:
        self.write_deadline = inf
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None
