"""What an upstream can do wrong (or meanly), and what the client gets then."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import Reason, UpstreamError
from proxy.wire.forward import BrokenResponse, forward
from proxy.wire.message import Body, RequestHead
from tests.fakes.scripted import (
    Script,
    Step,
    body,
    close,
    endless,
    finish,
    request,
    reset,
    upstream,
)
from tests.wire.stage import GET, HEAD, OK, POST, Client, as_is, chunks, limits, pool_of

START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
SPLIT_HEAD = START + b"X-A: " + b"a" * 30_000 + b"\r\nX-B: "


REFUSED = [
    pytest.param(
        START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        id="length and coding together",
    ),
    pytest.param(
        START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        id="coding and length together",
    ),
    pytest.param(
        START + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk", id="two different lengths"
    ),
    pytest.param(START + b"Content-Length: 2, 3\r\n\r\nokk", id="a list of lengths"),
    pytest.param(START + b"Content-Length: +5\r\n\r\nhello", id="length with a plus"),
    pytest.param(START + b"Content-Length: -5\r\n\r\nhello", id="length with a minus"),
    pytest.param(START + b"Content-Length: 0x5\r\n\r\nhello", id="hexadecimal length"),
    pytest.param(START + b"Content-Length: \r\n\r\nhello", id="empty length"),
    pytest.param(START + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", id="length overflows"),
    pytest.param(START + b"Content-Length : 2\r\n\r\nok", id="space before the colon"),
    pytest.param(START + b"Transfer-Encoding: gzip\r\n\r\nxx", id="another coding"),
    pytest.param(START + b"Transfer-Encoding: xchunked\r\n\r\nxx", id="a coding like chunked"),
    pytest.param(
        START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="two codings in a list"
    ),
    pytest.param(
        START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        id="chunked twice",
    ),
    pytest.param(
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunks in HTTP/1.0"
    ),
    pytest.param(START + b"A: b\nContent-Length: 0\r\n\r\n", id="bare LF after a header"),
    pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare LF after the status line"),
    pytest.param(START + b"A: b\rC: d\r\nContent-Length: 0\r\n\r\n", id="bare CR in a header"),
    pytest.param(START + b"A: b\0c\r\nContent-Length: 0\r\n\r\n", id="NUL in a header"),
    pytest.param(START + b"A\0: b\r\nContent-Length: 0\r\n\r\n", id="NUL in a name"),
    pytest.param(b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n", id="NUL in the reason"),
    pytest.param(b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", id="bare CR in the reason"),
    pytest.param(START + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", id="a folded header"),
    pytest.param(START + b" A: b\r\nContent-Length: 0\r\n\r\n", id="fold before any header"),
    pytest.param(START + b"no colon\r\nContent-Length: 0\r\n\r\n", id="header without a colon"),
    pytest.param(START + b": b\r\nContent-Length: 0\r\n\r\n", id="header without a name"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, id="a flood of 100"),
    pytest.param(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * 17 + OK, id="seventeen 103"),
    pytest.param(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw",
        id="101 without being asked",
    ),
    pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\nraw", id="101 without a protocol"),
    pytest.param(START + b"X: " + b"x" * 2**20 + b"\r\n\r\n", id="a head of 1 MiB"),
    pytest.param(SPLIT_HEAD + b"b" * 40_000 + b"\r\n\r\nok", id="a head just too large"),
    pytest.param(START + b"Set-Cookie: a=b\r\n" * 10_000 + b"\r\n", id="10,000 Set-Cookie"),
    pytest.param(START + b"A: b\r\n" * 201 + b"\r\n", id="201 headers"),
    pytest.param(b"HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n", id="status 000"),
    pytest.param(b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n", id="status 099"),
    pytest.param(b"HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n", id="status 600"),
    pytest.param(b"HTTP/1.1 1000 No\r\nContent-Length: 0\r\n\r\n", id="status 1000"),
    pytest.param(b"HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n", id="status 2xx"),
    pytest.param(b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", id="two spaces"),
    pytest.param(b"<html>hello</html>", id="HTTP/0.9 body"),
    pytest.param(b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n", id="HTTP/0.9"),
    pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="HTTP/2.0"),
    pytest.param(b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="RTSP"),
    pytest.param(b"\0\0\x12\x04\0\0\0\0\0", id="HTTP/2 frames"),
]


@pytest.mark.parametrize("answer", REFUSED)
async def test_what_is_not_strict_http_is_refused(answer: bytes) -> None:
    client = Client()
    async with upstream([request, answer]) as app, pool_of(app.url) as pool:
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, GET, None, client, as_is)
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_INVALID, 502)
        assert client.writes == []
        await app.peers[0].gone.wait()  # and the connection is not used again


@pytest.mark.parametrize(
    ("steps", "body_so_far"),
    [
        pytest.param([START + b"Content-Length: 9\r\n\r\nhello", close], b"hello", id="short"),
        pytest.param([START + b"Content-Length: 9\r\n\r\nhello", reset], b"hello", id="reset"),
        pytest.param(
            [START + b"Content-Length: 9\r\n\r\nhello", finish], b"hello", id="half closed"
        ),
        pytest.param([CHUNKED + b"5\r\nhello\r\n", close], b"5\r\nhello\r\n", id="no last chunk"),
        pytest.param([CHUNKED + b"5\r\nhel", close], b"3\r\nhel\r\n", id="half a chunk"),
        pytest.param([CHUNKED + b"5\r\nhello\r\n0\r\n", close], b"5\r\nhello\r\n", id="no end"),
        pytest.param(
            [CHUNKED, b"5\r\nhelloX\r\n0\r\n\r\n"], b"5\r\nhello\r\n", id="data after a chunk"
        ),
        pytest.param([CHUNKED, b"5\nhello\n0\n\n"], b"", id="chunks with bare LF"),
        pytest.param([CHUNKED, b"F" * 17 + b"\r\nhello"], b"", id="chunk size overflows"),
        pytest.param([CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"], b"", id="chunk size with 0x"),
        pytest.param([CHUNKED, b"5;" + b"e" * 200_000], b"", id="endless chunk extension"),
        pytest.param([CHUNKED, b"0\r\nA: " + b"a" * 200_000], b"", id="endless trailer"),
        pytest.param([START + b"\r\nhello", reset], b"5\r\nhello\r\n", id="reset without length"),
    ],
)
async def test_a_broken_body_never_ends_cleanly(steps: list[Step], body_so_far: bytes) -> None:
    client = Client()
    async with upstream([request, *steps]) as app, pool_of(app.url) as pool:
        with pytest.raises(BrokenResponse) as caught:
            await forward(pool, GET, None, client, as_is)
        assert caught.value.status == 200
        assert body_so_far.startswith(client.body)
        assert not client.body.endswith(b"0\r\n\r\n")
        await app.peers[0].gone.wait()


@pytest.mark.parametrize(
    ("head", "answer", "seen"),
    [
        pytest.param(GET, OK + b"extra", b"ok", id="bytes after the length"),
        pytest.param(GET, OK + OK, b"ok", id="answer to a ghost request"),
        pytest.param(GET, OK + OK[:9], b"ok", id="beginning of a ghost answer"),
        pytest.param(
            GET, CHUNKED + b"0\r\n\r\n" + OK, b"0\r\n\r\n", id="ghost answer after chunks"
        ),
        pytest.param(
            GET, b"HTTP/1.1 204 None\r\nContent-Length: 3\r\n\r\nabc", b"", id="204 with a body"
        ),
        pytest.param(GET, b"HTTP/1.1 304 Same\r\n\r\nabc", b"", id="304 with a body"),
        pytest.param(HEAD, START + b"Content-Length: 3\r\n\r\nabc", b"", id="HEAD with a body"),
        pytest.param(HEAD, CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", b"", id="HEAD with chunks"),
        pytest.param(HEAD, CHUNKED + b"0\r\n\r\n", b"", id="HEAD with a last chunk"),
        pytest.param(HEAD, CHUNKED + b"3", b"", id="HEAD with a part of a chunk"),
        pytest.param(HEAD, START + b"\r\nabc", b"", id="HEAD with a body without length"),
    ],
)
async def test_what_follows_a_response_is_dropped_with_its_connection(
    head: RequestHead, answer: bytes, seen: bytes
) -> None:
    client, second = Client(), Client()
    async with upstream([request, answer], [request, OK]) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, head, None, client, as_is)
        assert (client.body, exchanged.reusable) == (seen, True)
        await app.peers[0].gone.wait()
        await forward(pool, GET, None, second, as_is)
        assert second.body == b"ok"
        assert len(app.peers) == 2


async def test_unsolicited_bytes_discard_an_idle_connection() -> None:
    speak = asyncio.Event()

    async def later(peer: object) -> None:
        await speak.wait()

    script: list[Step] = [request, OK, later, OK.replace(b"ok", b"no")]
    async with upstream(script, [request, OK]) as app, pool_of(app.url) as pool:
        await forward(pool, GET, None, Client(), as_is)
        speak.set()
        await app.peers[0].gone.wait()
        client = Client()
        await forward(pool, GET, None, client, as_is)
        assert client.body == b"ok"
        assert len(app.peers) == 2


async def test_unsolicited_bytes_before_the_first_request_are_nobodys_answer() -> None:
    ghost: Script = [b"HTTP/1.1 400 Ghost\r\n\r\n"]
    async with upstream(ghost, [request, OK]) as app, pool_of(app.url) as pool:
        connection = await pool.acquire()
        await app.peers[0].gone.wait()
        pool.release(connection)
        client = Client()
        await forward(pool, GET, None, client, as_is)
        assert client.body == b"ok"


@pytest.mark.parametrize(
    ("answer", "status_line"),
    [
        pytest.param(
            b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 200 ", id="no reason"
        ),
        pytest.param(OK.replace(b"OK", b"Tr\xe8s bien"), b"HTTP/1.1 200 Tr\xe8s bien", id="obs"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 16 + OK, b"HTTP/1.1 200 OK", id="16x100"),
        pytest.param(OK.replace(b"1.1", b"1.0"), b"HTTP/1.1 200 OK", id="HTTP/1.0"),
        pytest.param(OK.replace(b"200", b"599"), b"HTTP/1.1 599 OK", id="status 599"),
    ],
)
async def test_unusual_but_correct_responses_pass(answer: bytes, status_line: bytes) -> None:
    client = Client()
    async with upstream([request, answer]) as app, pool_of(app.url) as pool:
        await forward(pool, GET, None, client, as_is)
        assert client.head.split(b"\r\n")[0] == status_line
        assert client.body == b"ok"


async def test_trailers_are_dropped() -> None:
    client = Client()
    answer = CHUNKED + b"2\r\nok\r\n0\r\nSet-Cookie: a=b\r\n\r\n"
    async with upstream([request, answer]) as app, pool_of(app.url) as pool:
        await forward(pool, GET, None, client, as_is)
        assert client.body == b"2\r\nok\r\n0\r\n\r\n"


async def test_hop_by_hop_framing_of_the_upstream_is_never_passed_on() -> None:
    client = Client()
    answer = (
        START + b"Connection: close, X-Secret\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n"
        b"Trailer: X\r\nProxy-Connection: close\r\nA: b\r\nContent-Length: 2\r\n\r\nok"
    )
    async with upstream([request, answer]) as app, pool_of(app.url) as pool:
        await forward(pool, GET, None, client, as_is)
        assert client.head == START + b"A: b\r\nContent-Length: 2"


async def test_a_compressed_body_passes_untouched() -> None:
    bomb = bytes(range(256)) * 16
    client = Client()
    answer = START + b"Content-Encoding: gzip\r\nContent-Length: 4096\r\n\r\n" + bomb
    async with upstream([request, answer]) as app, pool_of(app.url) as pool:
        await forward(pool, GET, None, client, as_is)
        assert client.body == bomb
        assert b"Content-Encoding: gzip" in client.head


async def test_a_stall_before_the_head_is_a_gateway_timeout() -> None:
    async with upstream([request]) as app, pool_of(app.url, limits(response=0.1)) as pool:
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, GET, None, Client(), as_is)
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_TIMEOUT, 504)
        await app.peers[0].gone.wait()
        assert len(app.peers) == 1  # slow is not stale: no retry


async def test_a_head_that_trickles_does_not_move_the_deadline() -> None:
    async def trickle(peer: object) -> None:
        await asyncio.sleep(0.02)

    script: list[Step] = [request]
    for octet in START * 20:
        script += [bytes((octet,)), trickle]
    async with upstream(script) as app, pool_of(app.url, limits(response=0.1)) as pool:
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, GET, None, Client(), as_is)
        assert caught.value.reason is Reason.UPSTREAM_TIMEOUT


async def test_a_stall_after_the_head_breaks_the_response() -> None:
    client = Client()
    answer = START + b"Content-Length: 9\r\n\r\nhello"
    async with upstream([request, answer]) as app, pool_of(app.url, limits(idle=0.1)) as pool:
        with pytest.raises(BrokenResponse) as caught:
            await forward(pool, GET, None, client, as_is)
        assert caught.value.error.reason is Reason.UPSTREAM_TIMEOUT
        assert caught.value.sent == 5
        assert client.body == b"hello"


async def test_an_early_refusal_reaches_the_client_although_the_upstream_hung_up() -> None:
    client = Client()
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"
    data = Body(64 * 2**20, chunks(*[b"x" * 65536] * 1024))
    async with upstream([request, body(1000), refusal, close]) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, POST, data, client, as_is)
        assert client.head.startswith(b"HTTP/1.1 413 Too Large")
        assert client.head.endswith(b"Connection: close")
        assert client.body == b"big"
        assert (exchanged.status, exchanged.reusable) == (413, False)


async def test_an_endless_body_stops_when_the_client_is_gone() -> None:
    client = Client()
    script: Script = [request, START + b"\r\n", endless(b"x" * 65536)]
    async with upstream(script) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, GET, None, client, as_is))
        await client.got(b"xxx")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await app.peers[0].gone.wait()


@pytest.mark.parametrize(
    ("length", "connections"),
    [pytest.param(b"5", 2, id="a body may follow"), pytest.param(b"0", 1, id="none may")],
)
async def test_a_late_body_of_an_answer_to_head_is_nobodys_answer(
    length: bytes, connections: int
) -> None:
    """Some servers send it in a second write; it must not reach whoever asks next."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n" % length
    async with (
        upstream([request, said, request, OK], [request, OK]) as app,
        pool_of(app.url) as pool,
    ):
        await forward(pool, HEAD, None, Client(), as_is)
        client = Client()
        await forward(pool, GET, None, client, as_is)
        assert client.body == b"ok"
        assert len([peer for peer in app.peers if peer.received]) == connections
