from __future__ import annotations

import asyncio

import pytest

from proxy.errors import ProxyError, Reason, UpstreamError
from proxy.wire.connection import BUFFER_LIMIT
from proxy.wire.forward import BrokenResponse, forward
from proxy.wire.message import Body, RequestHead, ResponseHead
from tests.fakes.scripted import (
    Peer,
    Script,
    Step,
    body,
    close,
    endless,
    finish,
    request,
    reset,
    until,
    upstream,
)
from tests.wire.stage import GET, HEAD, OK, POST, Client, as_is, chunks, eventually, limits, pool_of

START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


async def test_a_small_exchange_is_one_write_each_way_and_is_reused() -> None:
    async with upstream([request, OK, request, OK]) as app, pool_of(app.url) as pool:
        for _ in range(2):
            client = Client()
            exchanged = await forward(pool, GET, None, client, as_is)
            assert client.writes == [OK]
            assert (exchanged.status, exchanged.sent, exchanged.reusable) == (200, 2, True)
        assert len(app.peers) == 1
        assert bytes(app.peers[0].received) == b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n" * 2


async def test_each_chunk_leaves_at_once() -> None:
    seen = [asyncio.Event(), asyncio.Event()]
    script: Script = [
        request, CHUNKED + b"3\r\none\r\n", until(seen[0]), b"3\r\ntwo\r\n", until(seen[1]),
        b"0\r\n\r\n",
    ]  # fmt: skip
    client = Client()
    async with upstream(script) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, GET, None, client, as_is))
        await client.got(b"3\r\none\r\n")
        seen[0].set()
        await client.got(b"3\r\ntwo\r\n")
        seen[1].set()
        assert (await task).sent == 6
        assert client.writes[1:] == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]


def _client(version: str) -> Client:
    return Client(http11=version != "1.0", keep_alive=version != "close")


@pytest.mark.parametrize(
    ("answer", "version", "fields", "content", "reusable"),
    [
        pytest.param(OK, "1.1", b"Content-Length: 2", b"ok", True, id="length"),
        pytest.param(
            OK, "1.0", b"Content-Length: 2\r\nConnection: keep-alive", b"ok", True, id="to 1.0"
        ),
        pytest.param(
            OK, "close", b"Content-Length: 2\r\nConnection: close", b"ok", False, id="to close"
        ),
        pytest.param(
            CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
            "1.1",
            b"Transfer-Encoding: chunked",
            b"2\r\nok\r\n0\r\n\r\n",
            True,
            id="chunks",
        ),
        pytest.param(
            CHUNKED + b"2\r\nok\r\n0\r\n\r\n", "1.0", b"Connection: close", b"ok", False,
            id="chunks to 1.0",
        ),
        pytest.param(
            b"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n", "1.1", b"", b"", True, id="204"
        ),
        pytest.param(
            b"HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n", "1.1", b"Content-Length: 7", b"",
            True, id="304",
        ),
        pytest.param(
            b"HTTP/1.1 304 Same\r\n\r\n", "1.0", b"Connection: keep-alive", b"", True,
            id="304 to 1.0",
        ),
    ],
)  # fmt: skip
async def test_the_client_gets_framing_it_understands(
    answer: bytes, version: str, fields: bytes, content: bytes, reusable: bool
) -> None:
    client = _client(version)
    async with upstream([request, answer]) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, GET, None, client, as_is)
        assert client.head.partition(b"\r\n")[2] == fields
        assert client.body == content
        assert exchanged.reusable is reusable
        assert repr(pool).endswith("0 busy, 1 idle, 0 opening, 0 queued>")


@pytest.mark.parametrize(
    ("version", "fields", "content", "reusable"),
    [
        ("1.1", b"Transfer-Encoding: chunked", b"2\r\nok\r\n0\r\n\r\n", True),
        ("1.0", b"Connection: close", b"ok", False),
    ],
)
async def test_a_body_that_ends_with_its_connection(
    version: str, fields: bytes, content: bytes, reusable: bool
) -> None:
    client = _client(version)
    async with upstream([request, START + b"\r\nok", finish]) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, GET, None, client, as_is)
        assert client.head.partition(b"\r\n")[2] == fields
        assert client.body == content
        assert exchanged.reusable is reusable
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")


@pytest.mark.parametrize(
    ("fields", "kept"),
    [(b"Content-Length: 9", b"Content-Length: 9"), (b"Transfer-Encoding: chunked", b"")],
)
async def test_head_keeps_the_length_and_the_clients_connection(fields: bytes, kept: bytes) -> None:
    client = Client()
    script: Script = [request, START + fields + b"\r\n\r\n"]
    async with upstream(script) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, HEAD, None, client, as_is)
        assert client.received == START + (kept + b"\r\n" if kept else b"") + b"\r\n"
        assert exchanged.reusable
        assert "0 idle" in repr(pool)  # a body might yet follow


async def test_render_decides_the_headers_byte_exact() -> None:
    def render(head: ResponseHead) -> list[tuple[bytes, bytes]]:
        assert (head.status, head.reason) == (200, b"OK")
        return [*head.headers, (b"Set-Cookie", b"a=\xe9"), (b"Transfer-Encoding", b"gzip")]

    client = Client()
    async with upstream([request, OK]) as app, pool_of(app.url) as pool:
        await forward(pool, GET, None, client, render)
        assert client.head == START + b"Set-Cookie: a=\xe9\r\nContent-Length: 2"


async def test_an_error_of_render_reaches_the_caller_before_anything_is_written() -> None:
    def render(head: ResponseHead) -> list[tuple[bytes, bytes]]:
        raise ProxyError(Reason.INTERNAL, "no")

    client = Client()
    async with upstream([request, OK]) as app, pool_of(app.url) as pool:
        with pytest.raises(ProxyError, match="internal_error"):
            await forward(pool, GET, None, client, render)
        assert client.writes == []


@pytest.mark.parametrize("end", [close, reset])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
async def test_a_stale_connection_is_replaced_once_for_safe_requests(
    method: bytes, end: Step
) -> None:
    head = RequestHead(method, b"/", ())
    stale: Script = [request, OK, request, end]
    async with upstream(stale, [request, OK]) as app, pool_of(app.url) as pool:
        await forward(pool, GET, None, Client(), as_is)
        client = Client()
        exchanged = await forward(pool, head, None, client, as_is)
        assert exchanged.status == 200
        assert len(app.peers) == 2
        assert app.peers[1].received.startswith(method)


@pytest.mark.parametrize(
    ("head", "with_body", "scripts", "connections"),
    [
        pytest.param(POST, False, [[request, OK, request, close]], 1, id="POST"),
        pytest.param(GET, True, [[request, OK, request, close]], 1, id="GET with a body"),
        pytest.param(GET, False, [[request, close]], 1, id="a new connection"),
        pytest.param(
            GET, False, [[request, OK, request, close], [request, close]], 2, id="the second time"
        ),
        pytest.param(
            GET, False, [[request, OK, request, b"HTTP", close]], 1, id="after a part of an answer"
        ),
        pytest.param(
            GET,
            False,
            [[request, OK, request, b"HTTP/1.1 100 Continue\r\n\r\n", close]],
            1,
            id="after an interim response",
        ),
    ],
)
async def test_everything_else_is_sent_once(
    head: RequestHead, with_body: bool, scripts: list[Script], connections: int
) -> None:
    async with upstream(*scripts) as app, pool_of(app.url) as pool:
        if scripts[0][1] is OK:
            await forward(pool, GET, None, Client(), as_is)
        client = Client()
        data = Body(2, chunks(), b"hi") if with_body else None
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, head, data, client, as_is)
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_UNREACHABLE, 502)
        assert client.writes == []
        assert len(app.peers) == connections


async def test_a_client_that_leaves_ends_the_upstream_request_at_once() -> None:
    async with upstream([request]) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, GET, None, Client(), as_is))
        await eventually(lambda: app.peers and app.peers[0].received)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")
        await app.peers[0].gone.wait()


async def test_cancelled_exchanges_never_leave_an_answer_for_the_next_one() -> None:
    async def echo(peer: Peer) -> None:
        while True:
            head = await peer.reader.readuntil(b"\r\n\r\n")
            number = head.split(b" ")[1]
            await peer.send(START + b"Content-Length: %d\r\n\r\n" % len(number))
            await asyncio.sleep(0)
            await peer.send(number)

    async def one(number: int) -> None:
        client = Client()
        await forward(pool, RequestHead(b"GET", b"/%d" % number, ()), None, client, as_is)
        assert client.body == b"/%d" % number

    async with upstream([echo]) as app, pool_of(app.url, limits(connections=4)) as pool:
        for number in range(300):
            task = asyncio.create_task(one(number))
            for _ in range(number % 13):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task, other := asyncio.create_task(one(-number))])
            await other
            assert task.cancelled() or task.exception() is None


async def test_a_slow_client_pauses_the_upstream_with_little_buffered() -> None:
    size, piece = 64 * 2**20, 256 * 1024
    script: Script = [request, START + b"Content-Length: %d\r\n\r\n" % size, *[b"x" * piece] * 256]
    client = Client()
    async with upstream(script) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, GET, None, client, as_is))
        for _ in range(20):
            await client.got(b"x")
            client.pause()
            client.writes.clear()
            before = -1
            while before != app.peers[0].sent:  # until the kernel's buffers are full too
                before = app.peers[0].sent
                await asyncio.sleep(0.005)
            assert sum(map(len, client.writes)) <= 2 * piece
            (connection,) = pool._all
            assert connection.reader.buffered <= BUFFER_LIMIT + piece
            client.resume()
        assert app.peers[0].sent < size
        client.writes.clear()
        assert (await task).sent == size


async def test_silence_of_a_slow_client_is_not_the_upstreams_fault() -> None:
    script: Script = [request, START + b"Content-Length: 4\r\n\r\nab", b"cd"]
    client = Client()
    async with upstream(script) as app, pool_of(app.url, limits(idle=0.05)) as pool:
        client.pause()
        task = asyncio.create_task(forward(pool, GET, None, client, as_is))
        await asyncio.sleep(0.2)
        client.resume()
        assert (await task).sent == 4


async def test_a_stream_has_no_total_limit() -> None:
    async def ticking(peer: Peer) -> None:
        for _ in range(12):
            await peer.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)

    script: Script = [request, CHUNKED, ticking, b"0\r\n\r\n"]
    some = limits(response=0.15, idle=0.15)
    async with upstream(script) as app, pool_of(app.url, some) as pool:
        assert (await forward(pool, GET, None, Client(), as_is)).sent == 12


async def test_bytes_before_a_break_are_delivered_first() -> None:
    client = Client()
    async with upstream([request, CHUNKED, b"2\r\nok\r\nX"]) as app, pool_of(app.url) as pool:
        with pytest.raises(BrokenResponse) as caught:
            await forward(pool, GET, None, client, as_is)
        assert caught.value.error.reason is Reason.UPSTREAM_INVALID
        assert caught.value.sent in (0, 2)
        assert not client.body.endswith(b"0\r\n\r\n")


async def test_an_endless_download_keeps_no_memory() -> None:
    client = Client()
    script: Script = [request, START + b"\r\n", endless(b"x" * 65536)]
    async with upstream(script) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, GET, None, client, as_is))
        for _ in range(100):
            await client.got(b"x")
            client.writes.clear()
        (connection,) = pool._all
        assert connection.reader.buffered <= BUFFER_LIMIT + 2**18
        task.cancel()
        await asyncio.wait([task])


async def test_a_complete_upload_and_its_answer_keep_both_connections() -> None:
    async with upstream([request, body(5), OK]) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, POST, Body(5, chunks(b"he", b"llo")), Client(), as_is)
        assert exchanged.reusable
        assert app.peers[0].received.endswith(b"Content-Length: 5\r\n\r\nhello")
        assert repr(pool).endswith("0 busy, 1 idle, 0 opening, 0 queued>")
