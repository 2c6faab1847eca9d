"""One client connection while a request's body comes in: good ones, broken ones, slow ones."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from proxy.errors import BadRequest, Reason
from proxy.web.connection import Stage
from tests.web.loose import CHUNKED, GET, POST, Lane, Loose, settled


async def test_a_body_that_came_with_its_head_is_the_fast_lanes_too() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, _ = loose.client()
        connection.data_received(POST + b"hello" + GET)
        assert loose.lane
        assert loose.lane.offered == [(POST + b"hello", len(POST))]
        assert connection._held == GET


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([POST + b"hello"], id="at once"),
        pytest.param([POST, b"hello"], id="apart"),
        pytest.param([POST + b"he", b"l", b"lo"], id="in pieces"),
        pytest.param([CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"], id="chunks at once"),
        pytest.param([CHUNKED + b"2\r\nhe\r", b"\n3\r\nllo\r\n0\r\n", b"\r\n"], id="chunks"),
    ],
)
async def test_the_slow_lane_reads_bodies_and_the_connection_goes_on(pieces: list[bytes]) -> None:
    async with Loose(lane=Lane(takes=False)) as loose:
        connection, wire = loose.client()
        for _ in range(2):
            wire.sent.clear()
            for piece in pieces[:-1]:
                connection.data_received(piece)
                assert connection.stage is Stage.BODY
                await asyncio.sleep(0)
            connection.data_received(pieces[-1])
            assert connection.stage is Stage.BUSY
            await settled(lambda: connection.stage is Stage.REST)
            assert wire.sent.endswith(b"\r\n\r\nPOST /a hello")


async def test_what_follows_a_body_of_known_length_is_held() -> None:
    async with Loose(lane=Lane(takes=False)) as loose:
        connection, wire = loose.client()
        connection.data_received(POST + b"he")
        connection.data_received(b"llo" + GET)
        assert connection._held == GET
        await settled(lambda: wire.sent.count(b"HTTP/1.1 200") == 2)
        assert wire.sent.endswith(b"GET /a ")
        assert connection.stage is not Stage.CLOSING


async def test_what_follows_chunks_is_not_read() -> None:
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.path)
        response = web.Response(body=await request.read())
        if request.protocol.connection.is_last:  # type: ignore[attr-defined]
            response.force_close()
        return response

    async with Loose(handler=handler) as loose:
        connection, wire = loose.client()
        connection.data_received(CHUNKED + b"1\r\na\r\n0\r\n\r\n" + GET.replace(b"/a", b"/next"))
        await settled(lambda: wire.closing)
        assert seen == ["/a"]
        assert wire.sent.count(b"HTTP/1.1 ") == 1


async def _early(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=request.path)


async def test_an_answer_before_the_bodys_end_waits_for_it() -> None:
    async with Loose(handler=_early) as loose:
        connection, wire = loose.client()
        connection.data_received(POST + b"he")
        await settled(lambda: connection._is_answered)
        assert (wire.status, connection.stage) == (200, Stage.BODY)
        connection.data_received(b"llo" + GET)
        await settled(lambda: wire.sent.count(b"HTTP/1.1 200") == 2)
        await settled(lambda: connection.stage is Stage.REST)


async def test_excess_after_an_early_answer_is_never_served() -> None:
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol.connection  # type: ignore[attr-defined]
        seen.append(request.path if connection.request is not None else "unread")
        return web.Response(text="x")

    async with Loose(handler=handler) as loose:
        connection, wire = loose.client()
        connection.data_received(CHUNKED + b"1\r\na\r\n")
        await settled(lambda: connection._is_answered)
        connection.data_received(b"0\r\n\r\n" + GET.replace(b"/a", b"/b"))
        await settled(lambda: wire.closing)
        for _ in range(5):
            await asyncio.sleep(0)
        assert "/b" not in seen


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n", id="upgrade"
        ),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n", id="CONNECT"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        pytest.param(b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", id="chunks"),
        pytest.param(b"Content-Length: 5", b"hello", id="length"),
    ],
)
async def test_a_body_behind_an_upgrade_is_no_fault(
    head: bytes, framing: bytes, body: bytes
) -> None:
    async with Loose(handler=_early) as loose:
        connection, wire = loose.client()
        connection.data_received(head + framing + b"\r\n\r\n")
        assert connection.stage is Stage.BODY
        connection.data_received(body)
        await settled(lambda: wire.status == 200)


# Bodies that go wrong


class Reads:
    """A handler that reads the body; ``error`` is what came of it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.is_reading = asyncio.Event()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.is_reading.set()
        try:
            await request.content.read()
        except BadRequest as error:
            self.error = error
        response = web.Response(status=400)
        response.force_close()
        return response


async def test_a_broken_body_reaches_whoever_reads_it() -> None:
    reads = Reads()
    async with Loose(handler=reads) as loose:
        connection, wire = loose.client()
        connection.data_received(CHUNKED)
        await reads.is_reading.wait()
        connection.data_received(b"zz\r\n")
        assert connection.broken is not None
        connection.data_received(b"1\r\na\r\n0\r\n\r\n" + GET)
        await settled(lambda: wire.closing)
        assert isinstance(reads.error, BadRequest)
        assert (reads.error.reason, connection.is_last) == (Reason.BAD_BODY, True)
        assert wire.sent.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("seconds", "piece", "broken"),
    [
        pytest.param(19.9, b"", False, id="within the grace"),
        pytest.param(21, b"a" * 20000, False, id="fast enough"),
        pytest.param(21, b"a", True, id="a byte"),
        pytest.param(30, b"a" * 14000, True, id="nearly fast enough"),
    ],
)
async def test_a_body_must_come_at_a_least_rate(seconds: float, piece: bytes, broken: bool) -> None:
    reads = Reads()
    async with Loose(handler=reads) as loose:
        connection, wire = loose.client()
        connection.data_received(POST.replace(b": 5", b": 100000"))
        await reads.is_reading.wait()
        if piece:
            connection.data_received(piece)
        loose.sweep(seconds)
        assert (connection.broken is not None) is broken
        if broken:
            assert connection.broken
            assert connection.broken.status == 408
            await settled(lambda: wire.closing)
            assert reads.error is connection.broken


async def test_time_in_which_nobody_reads_does_not_count() -> None:
    reads = Reads()
    async with Loose(handler=reads) as loose:
        connection, wire = loose.client()
        connection.data_received(POST)
        await reads.is_reading.wait()
        wire.pause_reading()
        loose.sweep(100)
        wire.resume_reading()
        loose.sweep(19)
        assert connection.broken is None
        loose.sweep(2)
        assert connection.broken is not None


async def test_a_client_that_waits_for_100_continue_may_wait_for_it() -> None:
    reads = Reads()
    async with Loose(handler=reads) as loose:
        connection, _ = loose.client()
        connection.data_received(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        await reads.is_reading.wait()
        loose.sweep(100)  # waiting for a place at the upstream, say
        assert connection.broken is None
        connection.ask_for_body()
        loose.sweep(19)
        assert connection.broken is None
        loose.sweep(2)
        assert connection.broken is not None


async def test_a_least_rate_of_zero_is_none() -> None:
    reads = Reads()
    async with Loose(handler=reads, min_body_rate=0) as loose:
        connection, _ = loose.client()
        connection.data_received(POST)
        await reads.is_reading.wait()
        loose.sweep(1000)
        assert connection.broken is None
