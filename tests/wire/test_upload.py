from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.errors import BadRequest, Reason, UpstreamError
from proxy.wire.forward import BrokenResponse, forward
from proxy.wire.message import Body
from tests.fakes.scripted import Script, body, request, through, until, upstream
from tests.wire.stage import OK, POST, Client, as_is, chunks, eventually, limits, pool_of

START = b"HTTP/1.1 200 OK\r\n"


async def test_a_body_without_length_is_sent_in_chunks() -> None:
    script = [request, through(b"\r\n0\r\n\r\n"), OK]
    async with upstream(script) as app, pool_of(app.url) as pool:
        sent = Body(None, chunks(b"he", b"", b"llo"), b"oh ")
        exchanged = await forward(pool, POST, sent, Client(), as_is)
        assert exchanged.reusable
        assert app.peers[0].received.endswith(
            b"Transfer-Encoding: chunked\r\n\r\n3\r\noh \r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
        )


async def test_a_body_that_is_ready_leaves_with_the_head_and_is_not_pulled() -> None:
    async def never() -> AsyncIterator[bytes]:
        pytest.fail("pulled")
        yield b""

    async with upstream([request, body(5), OK]) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, POST, Body(5, never(), b"hello"), Client(), as_is)
        assert exchanged.reusable
        assert app.peers[0].received.endswith(b"Content-Length: 5\r\n\r\nhello")


class Source:
    """A client's upload: what of it was pulled, and how it ended."""

    def __init__(self, *parts: bytes | BaseException | asyncio.Event) -> None:
        self.parts = parts
        self.pulled = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for part in self.parts:
                if isinstance(part, BaseException):
                    raise part
                if isinstance(part, asyncio.Event):
                    await part.wait()
                else:
                    self.pulled += len(part)
                    yield part
        finally:
            self.closed = True


async def test_an_upstream_that_does_not_read_is_not_fed() -> None:
    source = Source(*[b"x" * 65536] * 1024)
    go = asyncio.Event()
    size = 64 * 2**20
    script: Script = [request, until(go), body(size), OK]
    async with upstream(script) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, POST, Body(size, aiter(source)), Client(), as_is))
        before = -1
        while before != source.pulled or not before:
            before = source.pulled
            await asyncio.sleep(0.02)
        (connection,) = pool._all
        assert connection.transport.get_write_buffer_size() <= 2 * 65536
        assert source.pulled < size / 2
        go.set()
        assert (await task).reusable


async def test_an_upstream_that_never_reads_is_a_timeout() -> None:
    source = Source(*[b"x" * 65536] * 1024)
    go = asyncio.Event()
    async with upstream([request, until(go)]) as app, pool_of(app.url, limits(idle=0.1)) as pool:
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, POST, Body(64 * 2**20, aiter(source)), Client(), as_is)
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_TIMEOUT, 504)
        assert source.pulled < 32 * 2**20


async def test_the_response_timeout_begins_when_the_upload_is_through() -> None:
    slow = asyncio.Event()
    source = Source(b"he", slow, b"llo")
    async with upstream([request, body(5)]) as app:  # noqa: SIM117
        async with pool_of(app.url, limits(response=0.1)) as pool:
            task = asyncio.create_task(forward(pool, POST, Body(5, aiter(source)), Client(), as_is))
            await asyncio.sleep(0.3)
            assert not task.done()
            slow.set()
            with pytest.raises(UpstreamError) as caught:
                await task
            assert caught.value.reason is Reason.UPSTREAM_TIMEOUT


async def test_a_refusal_stops_the_upload_and_streams_on() -> None:
    stuck, go = asyncio.Event(), asyncio.Event()
    source = Source(b"hel", stuck)
    refusal = b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\n"
    client = Client()
    async with upstream([request, refusal, until(go), b"stop"]) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, POST, Body(9, aiter(source)), client, as_is))
        await client.got(b"403")
        await eventually(lambda: source.closed)
        go.set()
        exchanged = await task
        assert client.body == b"stop"
        assert client.head.endswith(b"Connection: close")
        assert not exchanged.reusable
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")


async def test_after_a_refusal_silence_is_still_limited() -> None:
    source = Source(b"hel", asyncio.Event())
    refusal = b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\n"
    async with upstream([request, refusal]) as app, pool_of(app.url, limits(idle=0.1)) as pool:
        with pytest.raises(BrokenResponse):
            await forward(pool, POST, Body(9, aiter(source)), Client(), as_is)


async def test_an_early_success_may_talk_while_the_upload_goes_on() -> None:
    second = asyncio.Event()
    source = Source(b"one", second, b"two")
    head = START + b"Transfer-Encoding: chunked\r\n\r\n"
    script: Script = [request, head, through(b"one\r\n"), b"3\r\nONE\r\n", through(b"two\r\n"),
              b"3\r\nTWO\r\n", through(b"0\r\n\r\n"), b"0\r\n\r\n"]  # fmt: skip
    client = Client()
    async with upstream(script) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, POST, Body(None, aiter(source)), client, as_is))
        await client.got(b"ONE")
        second.set()
        exchanged = await task
        assert client.body == b"3\r\nONE\r\n3\r\nTWO\r\n0\r\n\r\n"
        assert not exchanged.reusable  # decided while the upload was under way


async def test_an_answer_before_the_body_ends_the_upload_and_both_connections() -> None:
    source = Source(b"hel", asyncio.Event())
    client = Client()
    async with upstream([request, OK]) as app, pool_of(app.url) as pool:
        exchanged = await forward(pool, POST, Body(9, aiter(source)), client, as_is)
        assert client.body == b"ok"
        assert not exchanged.reusable
        assert source.closed
        await app.peers[0].gone.wait()


@pytest.mark.parametrize(
    ("length", "parts"),
    [
        pytest.param(5, [b"hell"], id="too short"),
        pytest.param(5, [b"hello!"], id="too long"),
        pytest.param(5, [b"he", ConnectionResetError()], id="the client is gone"),
        pytest.param(None, [b"he", BadRequest(Reason.BAD_BODY)], id="refused midway"),
    ],
)
async def test_a_body_that_breaks_never_looks_complete(
    length: int | None, parts: list[bytes | Exception]
) -> None:
    async with upstream([request]) as app, pool_of(app.url) as pool:
        with pytest.raises(BadRequest):
            await forward(pool, POST, Body(length, aiter(Source(*parts))), Client(), as_is)
        await app.peers[0].gone.wait()
        content = app.peers[0].received.partition(b"\r\n\r\n")[2]
        assert length is None or len(content) < length
        assert not content.endswith(b"0\r\n\r\n")


async def test_a_cancelled_exchange_closes_the_upload() -> None:
    source = Source(b"hel", asyncio.Event())
    async with upstream([request, body(3)]) as app, pool_of(app.url) as pool:
        task = asyncio.create_task(forward(pool, POST, Body(9, aiter(source)), Client(), as_is))
        await eventually(lambda: source.pulled)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed
        await app.peers[0].gone.wait()
