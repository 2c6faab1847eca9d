"""All client connections together: how many, how long, and who is seen to go."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from aiohttp import web

from proxy.config.settings import Server
from proxy.errors import BadRequest, Reason
from proxy.web.connection import Stage
from proxy.web.front import SWEEP, WATCH, front_limits, most_clients
from tests.web.loose import GET, Lane, Loose
from tests.wire.stage import eventually

FILES = resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.fixture
def files() -> Iterator[None]:
    """The limit on open files, put back afterwards."""
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, FILES)


@pytest.mark.parametrize(
    ("open_files", "wanted", "connections"),
    [
        pytest.param(1024, 16384, 768, id="as many as files allow"),
        pytest.param(1024, 100, 100, id="fewer are wanted"),
        pytest.param(300, 16384, 64, id="few files"),
        pytest.param(300, 16, 16, id="few files, fewer wanted"),
    ],
)
@pytest.mark.usefixtures("files")
def test_no_more_connections_than_open_files(
    open_files: int, wanted: int, connections: int
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, FILES[1]))
    assert most_clients(Server(max_connections=wanted)) == connections


def test_the_limits_are_the_settings() -> None:
    given = Server(header_timeout=1, keepalive_timeout=2, min_body_rate=3, body_grace=4)
    limits = front_limits(given)
    assert (limits.header_timeout, limits.keepalive_timeout) == (1, 2)
    assert (limits.min_body_rate, limits.body_grace) == (3, 4)


async def test_one_client_too_many_is_turned_away() -> None:
    async with Loose(lane=Lane(), max_connections=16) as loose:
        clients = [loose.client() for _ in range(16)]
        connection, wire = loose.client()
        assert wire.sent.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nConnection: close\r\n" in wire.sent
        assert b"\r\nRetry-After: 5\r\n" in wire.sent
        assert wire.sent.endswith(b"\r\n\r\n")
        assert wire.closing
        connection.data_received(GET)
        assert loose.lane
        assert loose.lane.offered == []
        await asyncio.sleep(0)
        assert len(loose.front.connections) == 16
        clients[0][1].close()
        await asyncio.sleep(0)
        another, good = loose.client()
        another.data_received(GET)
        assert (good.status, len(loose.lane.offered)) == (0, 1)


@pytest.mark.parametrize(
    ("sent", "seconds", "status"),
    [
        pytest.param(b"", 75, 0, id="nothing sent"),
        pytest.param(b"GET", 10, 408, id="half a head"),
        pytest.param(b"nonsense\r\n\r\n", 2, 400, id="refused"),
    ],
)
async def test_each_stage_has_its_deadline(sent: bytes, seconds: float, status: int) -> None:
    async with Loose() as loose:
        connection, wire = loose.client()
        if sent:
            connection.data_received(sent)
        loose.sweep(seconds - 0.01)
        assert not wire.aborted
        assert wire.status in (0, 400)
        loose.sweep(0.02)
        assert wire.status == status
        loose.sweep(2.01)
        assert wire.aborted


async def test_a_running_request_has_no_deadline() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        loose.sweep(10**6)
        assert not wire.closing
        assert connection.stage is Stage.BUSY


async def test_the_sweep_comes_by_itself() -> None:
    async with Loose() as loose:
        _, wire = loose.client()
        loose.time += 76
        async with asyncio.timeout(SWEEP * 10):
            await eventually(lambda: wire.aborted)


# A client that goes


async def test_a_client_that_goes_is_seen_even_while_nobody_reads() -> None:
    async with Loose(lane=Lane()) as loose:
        server = await asyncio.get_running_loop().create_server(loose.front, "127.0.0.1", 0)
        with closing(socket.create_connection(server.sockets[0].getsockname())) as client:
            client.sendall(GET + b"x" * 200_000)
            async with asyncio.timeout(10):
                await eventually(lambda: len(loose.front.connections) == 1)
                (connection,) = loose.front.connections
                await eventually(lambda: not connection.transport.is_reading())
                await asyncio.sleep(2 * WATCH)
                assert connection.stage == Stage.BUSY
                client.close()
                await eventually(lambda: not loose.front.connections)
        server.close()


@pytest.mark.parametrize("why", ["an answer is being delivered", "a tunnel has it"])
async def test_an_end_that_is_expected_is_nobodys_departure(why: str) -> None:
    """Aborted there, the last bytes of an answer, or a WebSocket's Close, would be lost."""
    async with Loose(lane=Lane()) as loose:
        server = await asyncio.get_running_loop().create_server(loose.front, "127.0.0.1", 0)
        with closing(socket.create_connection(server.sockets[0].getsockname())) as client:
            client.sendall(GET)
            async with asyncio.timeout(10):
                await eventually(lambda: len(loose.front.connections) == 1)
                (connection,) = loose.front.connections
                await eventually(lambda: connection.stage is Stage.BUSY)
                transport = connection.transport
                transport.pause_reading()
                answer = b"x" * 2**23
                transport.write(answer)
                if why == "a tunnel has it":
                    connection.hand_over()
                else:
                    transport.close()
                client.shutdown(socket.SHUT_WR)
                await asyncio.sleep(3 * WATCH)
                client.setblocking(False)
                got = 0
                while got < len(answer):
                    got += len(await asyncio.get_running_loop().sock_recv(client, 2**20))
        if not transport.is_closing():
            transport.abort()
        server.close()


async def test_transports_without_a_socket_are_not_watched() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        wire.pause_reading()
        loose.front._timers[1].cancel()
        loose.front._watch()
        assert not wire.closing


# Refusals


@pytest.mark.parametrize(
    ("error", "line"),
    [
        pytest.param(BadRequest(Reason.BAD_HEADER), b"400 Bad Request", id="400"),
        pytest.param(BadRequest(Reason.BAD_HEADER, status=408), b"408 Request Timeout", id="408"),
        pytest.param(BadRequest(Reason.TOO_LARGE, status=414), b"414 ", id="414"),
        pytest.param(
            BadRequest(Reason.TOO_LARGE, "secret", status=431),
            b"431 Request Header Fields Too Large", id="431",
        ),
        pytest.param(BadRequest(Reason.BAD_TARGET, status=505), b"505 HTTP Version", id="505"),
    ],
)  # fmt: skip
async def test_a_refusal_says_why_and_no_more(error: BadRequest, line: bytes) -> None:
    async with Loose() as loose:
        connection, _ = loose.client()
        head, _, body = loose.front.refusal(connection, error).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + line)
        said = json.loads(body)
        assert (said["error"], said["request_id"]) == (str(error.reason), "id1")
        assert said["status"] == error.status
        assert "secret" not in body.decode()
        fields = dict(one.split(b": ", 1) for one in head.split(b"\r\n")[1:])
        assert fields == {
            b"Server": b"auth-proxy", b"Cache-Control": b"no-store", b"X-Request-Id": b"id1",
            b"Content-Type": b"application/problem+json",
            b"Content-Length": b"%d" % len(body), b"Connection": b"close",
        }  # fmt: skip
        assert loose.logged()[-1]["reason"] == str(error.reason)


# Stopping


async def test_connections_that_serve_nobody_are_closed() -> None:
    async with Loose(lane=Lane()) as loose:
        idle, busy, begun = (loose.client() for _ in range(3))
        busy[0].data_received(GET)
        loose.ledger.begin(busy[0])
        begun[0].data_received(GET[:9])
        loose.front.close_idle(loose.ledger.running)
        assert [wire.closing for _, wire in (idle, busy, begun)] == [True, False, True]
        begun[0].data_received(GET[9:])
        assert loose.lane
        assert len(loose.lane.offered) == 1


async def test_stopping_ends_whatever_runs() -> None:
    stuck = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            stuck.set()
        return web.Response()

    loose = Loose(handler=handler)
    clients = [loose.client() for _ in range(3)]
    clients[0][0].data_received(GET)
    clients[1][0].data_received(GET[:5])
    await asyncio.sleep(0)
    await loose.front.shutdown(0.01)
    assert all(wire.closing for _, wire in clients)
    async with asyncio.timeout(5):
        await stuck.wait()
        await eventually(lambda: not loose.front.connections)
    assert all(timer.cancelled() for timer in loose.front._timers)
