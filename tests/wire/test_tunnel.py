from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from proxy.errors import BadRequest, Reason, UpstreamError
from proxy.wire.frames import accept_key
from proxy.wire.message import Exchanged, RequestHead
from proxy.wire.pool import Pool
from proxy.wire.tunnel import Tunnel, Upgraded, upgrade
from tests.fakes.scripted import (
    Peer,
    Script,
    endless,
    finish,
    request,
    reset,
    through,
    until,
    upstream,
)
from tests.wire.stage import OK, Client, as_is, eventually, limits, pool_of

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
WEBSOCKET = RequestHead(b"GET", b"/ws", ((b"Host", b"app.example"), (b"Sec-WebSocket-Key", KEY)))
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Accept: " + accept_key(KEY) + b"\r\n\r\n"
)


class Edge(asyncio.Protocol):
    """A smallest edge: reads a handshake, forwards it, and hands its transport to a tunnel."""

    def __init__(self, pool: Pool, tunnels: list[Tunnel]) -> None:
        self.pool = pool
        self.tunnels = tunnels
        self.read = b""
        self.http11 = self.keep_alive = True
        self.is_paused = False
        self.resumed: Callable[[], None] | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.read += data
        if self.task is None and b"\r\n\r\n" in self.read:
            self.task = asyncio.get_running_loop().create_task(self.serve())

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    async def serve(self) -> None:
        block, _, self.read = self.read.partition(b"\r\n\r\n")
        start, *lines = block.split(b"\r\n")
        method, target, _ = start.split(b" ")
        fields = [line.partition(b": ") for line in lines]
        head = RequestHead(method, target, [(name, value) for name, _, value in fields])
        outcome = await upgrade(self.pool, head, self, as_is)
        if isinstance(outcome, Exchanged):
            self.transport.close()
            return
        tunnel = Tunnel(self.transport, outcome, linger=0.5)
        self.tunnels.append(tunnel)
        tunnel.start(self.read)


@asynccontextmanager
async def edge(url: str) -> AsyncIterator[tuple[int, list[Tunnel]]]:
    """An edge before ``url``: its port, and the tunnels it has opened."""
    tunnels: list[Tunnel] = []
    async with pool_of(url) as pool:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Edge(pool, tunnels), "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1], tunnels
        finally:
            server.close()
            for tunnel in tunnels:
                tunnel.end(1001, "")
                await tunnel.closed()


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client without a WebSocket library, after its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        yield reader, writer
    finally:
        writer.transport.abort()


async def started(tunnels: Sequence[Tunnel]) -> Tunnel:
    await eventually(lambda: tunnels)
    return tunnels[0]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def talk(port: int, compression: str | None = None) -> AsyncIterator[ClientConnection]:
    async with connect(
        f"ws://127.0.0.1:{port}/ws", max_size=None, proxy=None, compression=compression
    ) as connection:
        yield connection


async def test_the_handshake_reaches_both_sides() -> None:
    client = Client()
    async with upstream([request, SWITCH + b"\x81\x02hi"]) as app, pool_of(app.url) as pool:
        outcome = await upgrade(pool, WEBSOCKET, client, as_is)
        assert isinstance(outcome, Upgraded)
        assert bytes(app.peers[0].received) == (
            b"GET /ws HTTP/1.1\r\nHost: app.example\r\nSec-WebSocket-Key: " + KEY + b"\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert client.received == (
            b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: "
            + accept_key(KEY)
            + b"\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")
        outcome.connection.abort()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(SWITCH.replace(accept_key(KEY), accept_key(b"x")), id="wrong accept"),
        pytest.param(SWITCH.replace(b"Sec-WebSocket-Accept", b"X"), id="no accept"),
        pytest.param(SWITCH.replace(b"Sec-", b"Sec-WebSocket-Accept: x\r\nSec-"), id="two accepts"),
        pytest.param(SWITCH.replace(b"WebSocket\r\n", b"h2c\r\n", 1), id="another protocol"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="no protocol"),
    ],
)
async def test_a_101_that_does_not_answer_the_client_is_refused(answer: bytes) -> None:
    client = Client()
    async with upstream([request, answer]) as app, pool_of(app.url) as pool:
        with pytest.raises(UpstreamError) as caught:
            await upgrade(pool, WEBSOCKET, client, as_is)
        assert caught.value.reason is Reason.UPSTREAM_INVALID
        assert client.writes == []
        await app.peers[0].gone.wait()


async def test_a_handshake_without_a_key_is_not_sent() -> None:
    async with pool_of("http://127.0.0.1:1") as pool:
        with pytest.raises(BadRequest):
            await upgrade(pool, RequestHead(b"GET", b"/", ()), Client(), as_is)


async def test_any_other_answer_is_forwarded() -> None:
    client = Client()
    script: Script = [request, OK.replace(b"200 OK", b"403 No")]
    async with upstream(script) as app, pool_of(app.url) as pool:
        outcome = await upgrade(pool, WEBSOCKET, client, as_is)
        assert outcome == Exchanged(403, 2, True)
        assert client.body == b"ok"
        assert repr(pool).endswith("0 busy, 1 idle, 0 opening, 0 queued>")


async def test_a_handshake_that_gets_no_answer_is_a_timeout() -> None:
    async with upstream([request]) as app, pool_of(app.url, limits(response=0.1)) as pool:
        with pytest.raises(UpstreamError) as caught:
            await upgrade(pool, WEBSOCKET, Client(), as_is)
        assert caught.value.status == 504


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_of_all_sizes_pass_unchanged(compression: str | None) -> None:
    messages: list[str | bytes] = [
        "", "text", "é" * 40_000, b"", b"\0" * 125, b"a" * 126, b"b" * 65_535, b"c" * 65_536,
        bytes(range(256)) * 8192,
    ]  # fmt: skip
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with edge(url) as (front, tunnels), talk(front, compression) as client:
            for message in messages:
                await client.send(message)
                assert await client.recv() == message
            assert await (await client.ping()) >= 0
            await client.send([b"frag", b"men", b"ted"])
            assert await client.recv() == b"fragmented"
            size = sum(map(len, messages))
            assert compression or tunnels[0].bytes_in > tunnels[0].bytes_out > size


@pytest.mark.parametrize("closer", ["client", "upstream"])
async def test_either_side_may_close_and_code_and_reason_pass(closer: str) -> None:
    codes: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def app(connection: ServerConnection) -> None:
        if closer == "upstream":
            await connection.close(4001, "enough")
        else:
            await connection.wait_closed()
        codes.put_nowait((connection.close_code, connection.close_reason))

    async with serve(app, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with edge(f"http://127.0.0.1:{port}") as (front, tunnels), talk(front) as client:
            if closer == "client":
                await client.close(4001, "enough")
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (4001, "enough")
            await (await started(tunnels)).closed()
        assert await codes.get() == (4001, "enough")


async def test_a_refused_handshake_is_seen_by_the_client() -> None:
    script: Script = [request, OK.replace(b"200 OK", b"403 Forbidden")]
    async with upstream(script) as app, edge(app.url) as (front, _):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{front}", proxy=None)
        assert caught.value.response.status_code == 403


async def test_bytes_around_the_handshake_are_not_lost() -> None:
    script: Script = [request, SWITCH + b"\x82\x05first", through(b"second")]
    async with upstream(script) as app, edge(app.url) as (front, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", front)
        writer.write(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n\x82\x06second")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(7) == b"\x82\x05first"
        await eventually(lambda: app.peers[0].received.endswith(b"\x82\x06second"))
        writer.close()


async def test_a_side_that_does_not_read_pauses_the_other() -> None:
    script: Script = [request, SWITCH, endless(b"\x82\x7e\xff\xff" + b"x" * 65_535)]
    async with upstream(script) as app, edge(app.url) as (front, tunnels):  # noqa: SIM117
        async with raw(front) as (reader, _):
            tunnel = await started(tunnels)
            before = -1
            while before != app.peers[0].sent or not before:
                before = app.peers[0].sent
                await asyncio.sleep(0.02)
            assert tunnel._client.transport.get_write_buffer_size() <= 65_536 + 2**18
            passed = tunnel.bytes_out
            await reader.readexactly(4 * 2**20)
            await eventually(lambda: tunnel.bytes_out > passed)


@pytest.mark.parametrize("how", ["eof", "reset"])
async def test_when_the_upstream_goes_the_client_is_closed_after_its_last_bytes(how: str) -> None:
    end = finish if how == "eof" else reset
    script: Script = [request, SWITCH, b"\x82\x03bye", through(b"go"), end]
    async with upstream(script) as app, edge(app.url) as (front, tunnels):
        async with raw(front) as (reader, writer):
            assert await reader.readexactly(5) == b"\x82\x03bye"
            writer.write(b"go")
            assert await reader.read() == b""
        await (await started(tunnels)).closed()


async def test_a_half_closed_client_still_gets_the_answer() -> None:
    async def answer(peer: Peer) -> None:
        assert await peer.reader.read() == b"\x82\x02hi"
        await peer.send(b"\x82\x05hello")
        peer.writer.close()

    async with upstream([request, SWITCH, answer]) as app, edge(app.url) as (front, tunnels):
        async with raw(front) as (reader, writer):
            writer.write(b"\x82\x02hi")
            writer.write_eof()
            assert await reader.read() == b"\x82\x05hello"
        await (await started(tunnels)).closed()


async def test_a_half_closed_tunnel_does_not_linger_for_ever() -> None:
    async with upstream([request, SWITCH]) as app, edge(app.url) as (front, tunnels):
        async with raw(front) as (reader, writer):
            writer.write_eof()
            assert await reader.read() == b""
        await (await started(tunnels)).closed()


async def test_the_end_of_a_session_closes_both_sides_with_a_code() -> None:
    codes: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def app(connection: ServerConnection) -> None:
        await connection.send("welcome")
        await connection.wait_closed()
        codes.put_nowait((connection.close_code, connection.close_reason))

    async with serve(app, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with edge(f"http://127.0.0.1:{port}") as (front, tunnels), talk(front) as client:
            assert await client.recv() == "welcome"
            tunnel = await started(tunnels)
            tunnel.end(4401, "session ended")
            tunnel.end(1000, "only the first counts")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4401, "session ended")
            async with asyncio.timeout(0.4):  # less than the linger time
                await tunnel.closed()
        assert await codes.get() == (4401, "session ended")


async def test_a_close_is_never_put_inside_a_frame() -> None:
    half = b"\x82\x0ahalf"
    async with upstream([request, SWITCH + half]) as app, edge(app.url) as (front, tunnels):
        async with raw(front) as (reader, _):
            assert await reader.readexactly(len(half)) == half
            (await started(tunnels)).end(1008, "over")
            assert await reader.read() == b""
        await app.peers[0].gone.wait()
        sent = bytes(app.peers[0].received).partition(b"\r\n\r\n")[2]
        assert sent[:2] == b"\x88\x86"  # towards the upstream one did fit in: masked


async def test_sides_that_ignore_the_close_are_cut_off() -> None:
    async def deaf(peer: Peer) -> None:
        await asyncio.sleep(60)

    async with upstream([request, SWITCH, deaf]) as app, edge(app.url) as (front, tunnels):  # noqa: SIM117
        async with raw(front):
            tunnel = await started(tunnels)
            tunnel.end(1001, "")
            async with asyncio.timeout(2):
                await tunnel.closed()


async def test_a_tunnel_to_an_upstream_that_is_gone_already_closes() -> None:
    hold = asyncio.Event()
    async with upstream([request, SWITCH, until(hold)]) as app, pool_of(app.url) as pool:
        outcome = await upgrade(pool, WEBSOCKET, Client(), as_is)
        assert isinstance(outcome, Upgraded)
        outcome.connection.abort()
        await asyncio.sleep(0.01)
        _, writer = await asyncio.open_connection("127.0.0.1", app.port)
        tunnel = Tunnel(cast(asyncio.Transport, writer.transport), outcome)
        tunnel.start()
        await tunnel.closed()
        hold.set()
