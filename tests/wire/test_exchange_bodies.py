"""An exchange whose request's body is still coming: early answers, bodies that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import inf

import pytest

from proxy.errors import BadRequest, Reason
from proxy.wire.exchange import BrokenResponse
from proxy.wire.message import Body
from tests.wire.acting import CHUNKED, Act
from tests.wire.stage import OK, chunks, eventually


async def held(event: asyncio.Event, *parts: bytes) -> AsyncIterator[bytes]:
    """``parts``, then nothing until ``event``."""
    for part in parts:
        yield part
    await event.wait()


async def failing(error: Exception) -> AsyncIterator[bytes]:
    yield b"a"
    raise error


async def test_the_deadline_of_an_upload_begins_at_its_end() -> None:
    act, more = Act(), asyncio.Event()
    exchange = act.start(Body(None, held(more, b"abc")))
    await eventually(lambda: act.socket.sent.endswith(b"3\r\nabc\r\n"))
    assert act.upstream.deadline == inf
    more.set()
    await eventually(lambda: act.upstream.deadline == 107)
    assert act.socket.sent.endswith(b"0\r\n\r\n")
    act.says(OK)
    await exchange.uploaded()
    act.over(kept=True)


@pytest.mark.parametrize(
    ("status", "reusable"),
    [pytest.param(413, False, id="413"), pytest.param(302, False, id="302")],
)
async def test_an_early_refusal_cuts_the_upload(status: int, reusable: bool) -> None:
    act, never = Act(), asyncio.Event()
    exchange = act.start(Body(None, held(never, b"abc")))
    await eventually(lambda: act.socket.sent.endswith(b"abc\r\n"))
    act.says(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\n" % status)
    assert act.upstream.deadline == 103  # the body's, not the upload's
    act.says(b"no")
    await exchange.uploaded()
    assert b"Connection: close" in act.client.head
    assert exchange.outcome
    assert exchange.outcome.reusable is reusable
    assert not act.socket.sent.endswith(b"0\r\n\r\n")
    act.over(kept=False)


async def test_an_early_200_is_a_duplex_stream() -> None:
    act, more = Act(), asyncio.Event()
    exchange = act.start(Body(None, held(more, b"abc")))
    await eventually(lambda: act.socket.sent.endswith(b"abc\r\n"))
    act.says(CHUNKED + b"1\r\na\r\n")
    assert act.client.body == b"1\r\na\r\n"
    more.set()
    await eventually(lambda: act.socket.sent.endswith(b"0\r\n\r\n"))
    act.says(b"0\r\n\r\n")
    assert exchange.outcome
    assert not exchange.outcome.reusable  # that was said before the upload's end
    act.over(kept=True)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(BadRequest(Reason.TOO_LARGE, status=413), id="ours"),
        pytest.param(ValueError("a fault"), id="a fault"),
    ],
)
async def test_a_body_that_breaks(error: Exception, early: bool) -> None:
    act = Act()
    exchange = act.start(Body(None, failing(error)))
    if early:
        act.says(CHUNKED)
    await eventually(lambda: act.done)
    failure = exchange.failure
    if early:
        assert isinstance(failure, BrokenResponse)
        failure = failure.error
    assert isinstance(failure, BadRequest)
    assert error in (failure, failure.__cause__)
    assert not act.socket.sent.endswith(b"0\r\n\r\n")
    act.over(kept=False)


async def test_cancelling_lets_go_of_the_body() -> None:
    act, never = Act(), asyncio.Event()
    exchange = act.start(Body(None, held(never, b"abc")))
    await eventually(lambda: act.socket.sent.endswith(b"abc\r\n"))
    exchange.cancel()
    await exchange.uploaded()
    assert act.socket.aborted
    assert (act.done, act.shelf.returned) == (0, 1)


async def test_a_body_that_is_at_hand_leaves_with_the_head() -> None:
    act = Act()
    exchange = act.start(Body(3, chunks(), b"abc"))
    assert act.upstream.deadline == 107
    await exchange.uploaded()
    act.says(OK)
    act.over(kept=True)
