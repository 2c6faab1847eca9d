"""One client connection as an exchange sees it: kept or not, written to, gone."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from proxy.rules.target import UNIX_PEER
from proxy.web.connection import ClientConnection, Stage
from tests.web.loose import GET, Lane, Loose, Wire


@pytest.mark.parametrize(
    ("data", "draining", "is_last", "kept"),
    [
        pytest.param(GET, False, False, True, id="kept"),
        pytest.param(GET, True, False, False, id="draining"),
        pytest.param(GET, False, True, False, id="the last"),
        pytest.param(GET.replace(b"1.1", b"1.0"), False, False, False, id="HTTP/1.0"),
        pytest.param(b"", False, False, False, id="no request"),
    ],
)
async def test_whether_a_connection_is_kept(
    data: bytes, draining: bool, is_last: bool, kept: bool
) -> None:
    async with Loose(lane=Lane()) as loose:
        loose.front.is_draining = draining
        connection, _ = loose.client()
        if data:
            connection.data_received(data)
        connection.is_last = is_last
        assert connection.keep_alive is kept


async def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        connection.write(b"a")
        assert connection.started
        connection.abort()
        with pytest.raises(ConnectionResetError):
            connection.write(b"b")
        assert bytes(wire.sent) == b"a"


async def test_whoever_waits_for_room_is_told() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, _ = loose.client()
        told: list[bool] = []
        connection.resumed = lambda: told.append(connection.is_paused)
        connection.pause_writing()
        assert connection.is_paused
        connection.resume_writing()
        assert told == [False]


class Running:
    """An exchange that learns of its client's end."""

    def __init__(self) -> None:
        self.losses = 0

    def lost(self) -> None:
        self.losses += 1


async def test_an_exchange_learns_that_its_client_has_gone() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        connection.exchange = running = Running()  # type: ignore[assignment]
        wire.abort()
        await asyncio.sleep(0)
        assert (running.losses, connection.stage) == (1, Stage.CLOSING)
        assert connection not in loose.front.connections
        connection.answered()  # too late
        assert connection.stage is Stage.CLOSING


async def test_a_slow_request_ends_with_its_client() -> None:
    cancelled = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return web.Response()

    async with Loose(handler=handler) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        wire.abort()
        async with asyncio.timeout(5):
            await cancelled.wait()
        assert connection.slow is None


async def test_what_came_behind_a_handshake_can_be_taken() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, _ = loose.client()
        connection.data_received(GET + b"\x81\x00")
        assert connection.hand_over() == b"\x81\x00"
        assert connection.hand_over() == b""


@pytest.mark.parametrize(
    ("peername", "peer"),
    [
        pytest.param(("192.0.2.1", 80), "192.0.2.1", id="IPv4"),
        pytest.param(("2001:db8::1", 80, 0, 0), "2001:db8::1", id="IPv6"),
        pytest.param("", UNIX_PEER, id="a unix socket"),
        pytest.param(None, "", id="gone already"),
    ],
)
async def test_who_is_at_the_other_end(peername: object, peer: str) -> None:
    async with Loose() as loose:
        connection: ClientConnection
        connection, _ = loose.client(Wire(peername))
        assert connection.peer == peer
