"""WebSockets that say something and wait for the echo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.clients.bodies import head
from bench.model import ScenarioFailed
from bench.place import Subject

_TEXT = b"x" * 64
_MASK = b"\x37\xfa\x21\x3d"
_SENT = bytes((0x81, 0x80 | len(_TEXT))) + _MASK + bytes(
    byte ^ _MASK[at % 4] for at, byte in enumerate(_TEXT)
)  # fmt: skip
_ECHO = bytes((0x81, len(_TEXT))) + _TEXT
_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
_PATIENCE = 30.0


class Socket(asyncio.Protocol):
    """One WebSocket. ``talk`` sends the next message as soon as an echo is there."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._held = b""
        self._open = False
        self._sent_at = 0
        self._until = 0
        self.waits: list[int] = []
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def talk(self, until: int = 0) -> asyncio.Future[None]:
        """Echo after echo until that moment (``time.monotonic_ns``), at least one."""
        self._until = until
        self.ready = asyncio.get_running_loop().create_future()
        self._say()
        return self.ready

    def _say(self) -> None:
        self._sent_at = time.monotonic_ns()
        self.transport.write(_SENT)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._open:
            self._handshake()
        elif len(self._held) >= len(_ECHO):
            if self._held != _ECHO:
                self._fail(f"instead of the echo came {self._held[:200]!r}")
                return
            self._held, now = b"", time.monotonic_ns()
            self.waits.append(now - self._sent_at)
            if now < self._until:
                self._say()
            elif not self.ready.done():
                self.ready.set_result(None)

    def _handshake(self) -> None:
        text, found, rest = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        if not text.startswith(b"HTTP/1.1 101 ") or rest:
            self._fail(f"no WebSocket: {self._held[:1000]!r}")
            return
        self._held, self._open = b"", True
        self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the WebSocket was closed")

    def _fail(self, text: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ScenarioFailed(text))


@dataclass(frozen=True, slots=True)
class Echoed:
    """``waits`` from a message to its echo, in nanoseconds, sorted."""

    seconds: float
    waits: list[int]

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    def below(self, share: float) -> float:
        """The wait that ``share`` of the echoes stay below, in milliseconds."""
        return self.waits[min(len(self.waits) - 1, int(len(self.waits) * share))] / 1e6


def echo(subject: Subject, sockets: int, seconds: float) -> Echoed:
    """So many WebSockets at once, each with one message under way."""

    async def run() -> Echoed:
        async with opened(subject, sockets) as ready:
            begun = time.monotonic_ns()
            until = begun + int(seconds * 1e9)
            async with asyncio.timeout(seconds + _PATIENCE):
                await asyncio.gather(*(socket.talk(until) for socket in ready))
            taken = (time.monotonic_ns() - begun) / 1e9
            return Echoed(taken, sorted(wait for socket in ready for wait in socket.waits))

    return uvloop.run(run())


@asynccontextmanager
async def opened(subject: Subject, number: int) -> AsyncIterator[list[Socket]]:
    """WebSockets after their handshake, opened fifty at a time. Raises ScenarioFailed."""
    # nginx hands Origin on, and auth-proxy compares it with its own
    origin = {"Origin": f"http://127.0.0.1:{subject.port}"}
    headers = {**_HANDSHAKE, **origin, **subject.headers}
    request = head("GET", subject.port, "/stream/socket", headers)
    loop, sockets = asyncio.get_running_loop(), list[Socket]()
    try:
        async with asyncio.timeout(_PATIENCE + number / 50):
            while len(sockets) < number:
                batch = min(50, number - len(sockets))
                pairs = await asyncio.gather(
                    *(
                        loop.create_connection(
                            lambda: Socket(request), "127.0.0.1", subject.port
                        )
                        for _ in range(batch)
                    )
                )  # fmt: skip
                sockets += [socket for _, socket in pairs]
                await asyncio.gather(*(socket.ready for _, socket in pairs))
        yield sockets
    finally:
        for socket in sockets:
            socket.transport.abort()
