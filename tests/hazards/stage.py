"""What the hazards share: raw bytes to a proxy in either lane, and an upstream that keeps them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, cast

import pytest

from proxy.web.connection import ClientConnection
from proxy.web.fast import FastLane
from tests.web.place import HOST, Place

Lane = Literal["fast", "slow"]
LANES = pytest.mark.parametrize("lane", ["fast", "slow"])
PATIENCE = 5.0
HOST_LINE = b"Host: " + HOST.encode() + b"\r\n"
ROUTES = [
    {"path": "/open/*", "access": "public"},
    {"path": "/maybe/*", "access": "optional"},
    {"path": "/*"},
]

_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding): *([^\r]*)", re.IGNORECASE)


def asking(
    target: bytes = b"/open/x", lines: bytes = b"", body: bytes = b"", method: bytes = b"GET"
) -> bytes:
    """A request with a good Host; ``lines`` end in CRLF, framing is the caller's."""
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, target, HOST_LINE, lines, body)


GOOD = asking(b"/open/good")


def ok(body: bytes, lines: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, len(body), body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came; ``head`` has its empty line, ``body`` its chunks."""

    status: int
    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    @property
    def closes(self) -> bool:
        head = self.head.lower()
        if head.startswith(b"http/1.0"):
            return b"\r\nconnection: keep-alive\r\n" not in head
        return b"\r\nconnection: close\r\n" in head


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE, "waited too long"
        await asyncio.sleep(0.001)


class Line:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, method: bytes = b"GET") -> Answer:
        """The next response, whole."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            framing = {n.lower(): v for n, v in _FRAMING.findall(head)}
            if method == b"HEAD" or status < 200 or status in (204, 304):
                body = b""
            elif b"content-length" in framing:
                body = await self.reader.readexactly(int(framing[b"content-length"]))
            elif framing:
                body = await self.reader.readuntil(b"0\r\n\r\n")
            else:
                body = await self.reader.read()
        return Answer(status, head, body)

    async def ask(self, data: bytes) -> Answer:
        self.send(data)
        return await self.answer(data.partition(b" ")[0])

    async def rest(self) -> bytes:
        """Whatever else comes, until the proxy closes or resets."""
        found = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while data := await self.reader.read(65536):
                    found += data
            except ConnectionError:
                pass
        return found


@asynccontextmanager
async def line_to(port: int, limit: int = 2**20) -> AsyncIterator[Line]:
    """A connection to a port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


class _Peer(asyncio.Protocol):
    """One connection of the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._recorder.connections += 1
        self._recorder.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := _message_end(self._data)) is not None:
            request, self._data = self._data[:end], self._data[end:]
            self._recorder.requests.append(request)
            method, target, _ = request.split(b" ", 2)
            given = self._recorder.answers.get(target)
            body = b"" if method == b"HEAD" else b"%b %b" % (method, target)
            self._transport.write(given if given is not None else ok(body))
            if target in self._recorder.closing:
                self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


def _message_end(data: bytes) -> int | None:
    """Where the first request ends; our own proxy frames it in one way only."""
    head, mark, _ = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    framing = _FRAMING.findall(head)
    assert len(framing) <= 1, head
    start = len(head) + 4
    if not framing:
        return start
    if framing[0][0].lower() == b"content-length":
        end = start + int(framing[0][1])
        return end if len(data) >= end else None
    while (mark_at := data.find(b"\r\n", start)) >= 0:
        size = int(data[start:mark_at], 16)
        start = mark_at + size + 4
        if not size:
            return start if len(data) >= start else None
    return None


class Recorder:
    """An upstream: ``requests`` are the bytes of each; ``answers`` and ``closing`` by target."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answers: dict[bytes, bytes] = {}
        self.closing: set[bytes] = set()
        self.connections = 0
        self.open: set[_Peer] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[bytes]:
        return [request.split(b" ", 2)[1] for request in self.requests]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Peer(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for peer in tuple(self.open):
            peer.abort()


class _Counted:
    """The fast lane, and whether it took each request that it was offered."""

    def __init__(self, lane: FastLane, taken: list[bool]) -> None:
        self._lane = lane
        self._taken = taken

    def take(self, *arguments: Any) -> bool:
        took = self._lane.take(*arguments)
        self._taken.append(took)
        return took


class Stage:
    """``async with Stage(lane) as stage``: a proxy before a recorder, all requests in one lane.

    ``taken`` tells of each request whether the fast lane took it. ``upstream`` is the address of
    another upstream than the recorder.
    """

    def __init__(self, lane: Lane = "fast", upstream: str = "", **settings: Any) -> None:
        self.lane = lane
        self.recorder = Recorder()
        self.taken: list[bool] = []
        self.cookie = b""
        self._upstream = upstream
        self._settings = {"routes": ROUTES, **settings}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            enter = self._stack.enter_async_context
            await enter(self.recorder)
            upstream = self._upstream or self.recorder.url
            self.place = await enter(Place(upstream=upstream, **self._settings))
            front = self.place.app._fronts[False]
            counted = _Counted(self.place.app.parts.fast, self.taken)
            self.fast = front.fast = cast(FastLane, counted)
            self.choose(self.lane)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def connections(self) -> set[ClientConnection]:
        """What the proxy has open towards clients."""
        return self.place.app._fronts[False].connections

    def choose(self, lane: Lane) -> None:
        """From now on requests go down this lane."""
        self.lane = lane
        if lane == "slow":
            self.place.only_slow()
        else:
            self.place.app._fronts[False].fast = self.fast

    @asynccontextmanager
    async def line(self, limit: int = 2**20) -> AsyncIterator[Line]:
        async with line_to(self.place.port, limit) as line:
            yield line

    async def sign_in(self, user: str = "alice") -> bytes:
        """A Cookie line of a new session; ``cookie`` keeps the newest."""
        browser = self.place.browser()
        answer = await browser.sign_in("/", user)
        assert answer.status in (302, 303), answer
        await browser.get("/")  # takes the memory of the sign-in away
        found = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        self.cookie = b"Cookie: " + found.encode() + b"\r\n"
        return self.cookie

    async def warm(self, data: bytes = GOOD) -> None:
        """Make the fast lane ready for ``data``, or be sure that it is out of play."""
        async with self.line() as line:
            for _ in range(4):
                answer = await line.ask(data)
                assert answer.status < 300, answer
                if self.lane == "slow" or self.taken[-1]:
                    return
        raise AssertionError("the fast lane takes it never")

    async def check_refused(self, data: bytes, *statuses: int) -> Answer:
        """``data`` gets one refusal and the end of the connection; the upstream sees nothing."""
        before = len(self.recorder.requests)
        async with self.line() as line:
            line.send(data)
            answer = await line.answer(data.partition(b" ")[0])
            rest = await line.rest()
        assert answer.status in (statuses or (400,)), answer
        assert answer.closes, answer.head
        assert rest == b"", rest
        assert self.recorder.requests[before:] == []
        return answer

    async def check_passes(self, data: bytes, status: int = 200) -> bytes:
        """``data`` is one request that the upstream sees once; returns how it saw it."""
        before = len(self.recorder.requests)
        async with self.line() as line:
            answer = await line.ask(data)
        assert answer.status == status, answer
        seen = self.recorder.requests[before:]
        assert len(seen) == 1, seen
        return seen[0]


def fields(request: bytes) -> list[tuple[bytes, bytes]]:
    """The header lines of a request, byte-exact."""
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def body_of(request: bytes) -> bytes:
    """A request's body, without its chunks."""
    head, _, body = request.partition(b"\r\n\r\n")
    if b"transfer-encoding" not in head.lower():
        return body
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return found
