"""Many requests at once: answered in order, one at a time, and bounded (F24)."""

from __future__ import annotations

import asyncio

import pytest

from proxy.web.connection import HELD_LIMIT
from tests.fakes.scripted import request, upstream
from tests.fakes.scripted import until as waiting
from tests.hazards.stage import GOOD, LANES, Lane, Stage, asking, ok, until


@LANES
async def test_a_thousand_requests_in_one_packet(lane: Lane) -> None:
    data = b"".join(asking(b"/open/%d" % n) for n in range(1000))
    async with Stage(lane) as stage:
        await stage.warm()
        async with stage.line() as line:
            line.send(data)
            bodies = [(await line.answer()).body for _ in range(1000)]
            assert bodies == [b"GET /open/%d" % n for n in range(1000)]
            assert (await line.ask(GOOD)).body == b"GET /open/good"
        assert stage.recorder.targets[-1001:-1] == [b"/open/%d" % n for n in range(1000)]
        assert stage.recorder.connections == 1


@LANES
async def test_requests_cut_anywhere(lane: Lane) -> None:
    one = asking(b"/open/a", b"Content-Length: 5\r\n", b"\r\n\r\nx", b"POST")
    data = (one + asking(b"/open/b") + asking(b"/app") + asking(b"/open/c", method=b"HEAD")) * 3
    async with Stage(lane) as stage:
        await stage.warm()
        for size in (1, 5, 100, 1000):
            async with stage.line() as line:
                for start in range(0, len(data), size):
                    line.send(data[start : start + size])
                    await asyncio.sleep(0)
                for _ in range(3):
                    assert (await line.answer()).body == b"POST /open/a"
                    assert (await line.answer()).body == b"GET /open/b"
                    assert (await line.answer()).status == 401
                    assert (await line.answer(b"HEAD")).status == 200


@LANES
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"", id="small enough to be in hand"),
        pytest.param(b"X-Large: yes\r\n", id="larger than a packet"),
    ],
)
async def test_requests_behind_bodies(lane: Lane, lines: bytes) -> None:
    body = b"x" * (300_000 if lines else 100)
    post = asking(b"/open/p", lines + b"Content-Length: %d\r\n" % len(body), body, b"POST")
    async with Stage(lane) as stage:
        await stage.warm()
        async with stage.line() as line:
            line.send((post + GOOD) * 5)
            for _ in range(5):
                assert (await line.answer()).body == b"POST /open/p"
                assert (await line.answer()).body == b"GET /open/good"
        assert all(len(r) > len(body) for r in stage.recorder.requests if r[:4] == b"POST")


@LANES
async def test_a_refused_request_ends_what_follows(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        before = len(stage.recorder.requests)
        async with stage.line() as line:
            line.send(GOOD + b"nonsense\r\n\r\n" + GOOD)
            assert (await line.answer()).status == 200
            assert (await line.answer()).status == 400
            assert await line.rest() == b""
        assert len(stage.recorder.requests) == before + 1


@LANES
async def test_close_ends_what_follows(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        async with stage.line() as line:
            line.send(asking(b"/open/x", b"Connection: close\r\n") + GOOD)
            assert (await line.answer()).closes
            assert await line.rest() == b""
        assert stage.recorder.targets[-1] == b"/open/x"


@LANES
async def test_what_waits_is_bounded(lane: Lane) -> None:
    """While one request is being answered, no more than a little is read of the next ones."""
    go = asyncio.Event()
    flood = GOOD * 200_000  # 9 MB
    async with (
        upstream([request, ok(b"first"), request, waiting(go), ok(b"second")]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        assert (await line.ask(GOOD)).body == b"first"
        line.send(flood)
        await until(lambda: any(not c.transport.is_reading() for c in stage.connections))
        (connection,) = stage.connections
        assert len(connection._held) <= HELD_LIMIT + 2**18
        go.set()
        assert (await line.answer()).body == b"second"
