"""One upstream connection: a socket's events in, one response at a time out."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from math import inf
from typing import cast

from proxy.errors import ProxyError, Reason, UpstreamError
from proxy.wire.failures import why
from proxy.wire.reader import ResponseReader
from proxy.wire.recall import Recall

BUFFER_LIMIT = 64 * 1024
"""Body bytes kept unread before the upstream is paused."""


READ_SIZE = 64 * 1024
"""Bytes read at once, into a buffer that the connections of a pool share."""


class Connection(asyncio.BufferedProtocol):
    """Carries one exchange at a time: ``begin``, then ``await_more`` until ``reader`` has it all.

    ``on_progress`` is called when a head, body bytes or the end have come, or ``error`` is set.

    ``deadline`` and ``write_deadline`` (by ``clock``) are when the upstream has been silent, or
    has not read, for too long; whoever owns the connection calls ``expire`` when one has passed:
    that is cheaper than a timer for each request. ``on_lost`` is called once, when the connection
    cannot be used any more.
    """

    __slots__ = (
        "_buffer", "_busy", "_clock", "_drain", "_loop", "_on_lost", "_open", "_patience",
        "_reading_paused", "_transport", "_used", "_write_paused", "deadline", "error",
        "expired", "on_progress", "reader", "reused", "uploading", "whole", "write_deadline",
    )  # fmt: skip

    def __init__(
        self,
        clock: Callable[[], float],
        on_lost: Callable[[Connection], None],
        buffer: memoryview | None = None,
        recall: Recall | None = None,
    ) -> None:
        self.reader = ResponseReader(recall)
        self.error: ProxyError | None = None
        self.on_progress: Callable[[], None] | None = None
        self.uploading = self.reused = self.expired = False
        self.whole = True
        self.deadline = self.write_deadline = inf
        self._clock = clock
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer or memoryview(bytearray(READ_SIZE))
        self._patience = 0.0
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

    def begin(self, request: bytes, no_body: bool = False, upgrade: bool = False) -> None:
        """Start an exchange with ``request``, in one write."""
        self.reader.begin(no_body, upgrade)
        self.whole = True
        self.reused = self._used
        self._busy = self._used = True
        self._patience = 0.0
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
        if self._reading_paused:
            self._resume()

    def await_more(self, timeout: float) -> None:
        """Read on; the upstream has ``timeout`` seconds for what is to come next.

        They begin when the upload (if any) is through.
        """
        if self._reading_paused:
            self._resume()
        self._patience = timeout
        if not self.uploading:
            self.deadline = self._clock() + timeout

    def take(self) -> bytes:
        """The body bytes that arrived."""
        return self.reader.take()

    def pause(self) -> None:
        """Read no more until ``await_more``: the client is slow."""
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
        if self._patience:
            self.deadline = self._clock() + timeout

    def stall(self, timeout: float) -> None:
        """Read nothing: the client has ``timeout`` seconds to make room."""
        self.pause()
        self.deadline = self._clock() + timeout

    def expire(self) -> None:
        """A deadline has passed."""
        self.expired = True
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

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._open:
            return
        if not self._busy:
            self.abort()  # nobody asked: what follows could be taken for the next answer
            return
        reader = self.reader
        head = reader.head
        try:
            reader.feed(self._buffer[:nbytes])
        except UpstreamError as error:
            self.fail(error)
            return
        if reader.buffered > BUFFER_LIMIT or reader.upgraded:
            self.pause()
        # A part of a head or of a trailer wakes nobody, and so does not move the deadline.
        if reader.complete or reader.buffered or reader.head is not head:
            self.deadline = inf
            self._patience = 0.0
            if self.on_progress is not None:
                self.on_progress()

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
        self._break(f"the connection broke: {why(exc)}")

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
        if self._open:
            self._reading_paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        self.deadline = inf
        self._patience = 0.0
        if self.on_progress is not None:
            self.on_progress()

    def _release_drain(self) -> None:
        self.write_deadline = inf
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None
