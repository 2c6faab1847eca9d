"""``python -m bench.streams PORT``: the application of streams.

``/stream/events?n=&every=&first=`` sends numbered events stamped with ``time.monotonic_ns()``
(intervals in microseconds), ``/stream/socket`` is a WebSocket that echoes, ``/stream/sink`` reads
a body and answers with its size. It trusts its callers: they are ours.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import signal
import sys
import time
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import uvloop

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


def event(number: int, now: int) -> bytes:
    """One chunk of the stream."""
    text = b"data: %d %d\n\n" % (number, now)
    return b"%x\r\n%b\r\n" % (len(text), text)


class Streams(asyncio.BufferedProtocol):
    """One connection. All connections read into one buffer: what is read is used at once."""

    def __init__(self, buffer: bytearray, loop: asyncio.AbstractEventLoop) -> None:
        self._buffer = buffer
        self._loop = loop
        self._rest = b""
        self._take = self._head
        self._left = 0
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._out: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._out = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._take(memoryview(self._buffer)[:nbytes])

    def _head(self, data: memoryview) -> None:
        head, found, rest = (self._rest + bytes(data)).partition(b"\r\n\r\n")
        if not found:
            self._rest = head
            return
        self._rest = b""
        first, *lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in _pairs(lines)}
        target = urlsplit(first.split(b" ")[1].decode())
        if target.path == "/stream/socket":
            self._upgrade(headers)
        elif target.path == "/stream/events":
            self._begin_events(dict(parse_qsl(target.query)))
        else:
            self._begin_body(headers, rest)

    def _upgrade(self, headers: dict[bytes, bytes]) -> None:
        digest = hashlib.sha1(headers[b"sec-websocket-key"] + _GUID, usedforsecurity=False)
        accept = base64.b64encode(digest.digest())
        self._out.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self._take = self._frames

    def _frames(self, data: memoryview) -> None:
        """Masked frames of up to 65,535 bytes back without their mask; a close ends it."""
        held, at = self._rest + bytes(data), 0
        while len(held) >= at + 6:
            size, start = held[at + 1] & 127, at + 6
            if size == 126:
                size, start = int.from_bytes(held[at + 2 : at + 4], "big"), at + 8
            if len(held) < start + size:
                break
            mask = held[start - 4 : start] * (size // 4 + 1)
            body = _xor(held[start : start + size], mask[:size])
            self._out.write(bytes((held[at], size)) + body if size < 126 else _long(held, at, body))
            if held[at] & 15 == 8:
                self._out.close()
                return
            at = start + size
        self._rest = held[at:]

    def _begin_events(self, query: dict[str, str]) -> None:
        self._out.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            b"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self._left, every = int(query["n"]), int(query["every"]) / 1e6
        due = self._loop.time() + int(query["first"]) / 1e6
        self._timer = self._loop.call_at(due, self._event, 0, due, every)

    def _event(self, number: int, due: float, every: float) -> None:
        if number == self._left:
            self._out.write(b"0\r\n\r\n")
            return
        self._timer = self._loop.call_at(due + every, self._event, number + 1, due + every, every)
        self._out.write(event(number, time.monotonic_ns()))

    def _begin_body(self, headers: dict[bytes, bytes], rest: bytes) -> None:
        if headers.get(b"expect"):
            self._out.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._size = 0
        if b"content-length" in headers:
            self._left = int(headers[b"content-length"])
            self._take = self._counted
        else:
            self._take = self._chunked
        self._take(memoryview(rest))

    def _counted(self, data: memoryview) -> None:
        self._size += len(data)
        if self._size >= self._left:
            self._answer()

    def _chunked(self, data: memoryview) -> None:
        """Counts framing as well: good enough for bodies without a length."""
        self._size += len(data)
        self._rest = (self._rest + bytes(data[-5:]))[-5:]
        if self._rest == b"0\r\n\r\n":
            self._rest = b""
            self._answer()

    def _answer(self) -> None:
        text = b"%d" % self._size
        self._out.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
        self._take = self._head


def _pairs(lines: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    return [line.partition(b":") for line in lines]


def _xor(text: bytes, mask: bytes) -> bytes:
    number = int.from_bytes(text, "big") ^ int.from_bytes(mask, "big")
    return number.to_bytes(len(text), "big")


def _long(held: bytes, at: int, body: bytes) -> bytes:
    return bytes((held[at], 126)) + len(body).to_bytes(2, "big") + body


async def _serve(port: int) -> None:
    loop, buffer, stop = asyncio.get_running_loop(), bytearray(2**18), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(
        lambda: Streams(buffer, loop), "127.0.0.1", port, backlog=4096
    )
    async with server:
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
