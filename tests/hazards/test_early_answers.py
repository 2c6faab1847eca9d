"""An answer that comes before the request has been read: it arrives, and nothing is mixed up."""

from __future__ import annotations

import asyncio

from tests.fakes.scripted import Script, Step, body, close, request, upstream
from tests.hazards.stage import GOOD, LANES, Lane, Stage, asking, ok

TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"
THEN: list[list[Step]] = [[], [close], [body(1000)]]
"""What the upstream does after its answer: wait, close, read a little."""


def post(size: int) -> bytes:
    return asking(b"/open/x", b"Content-Length: %d\r\n" % size, method=b"POST")


@LANES
async def test_a_refusal_while_uploading(lane: Lane) -> None:
    async def refused(then: list[Step]) -> None:
        async with (
            upstream([request, TOO_LARGE, *then], [request, ok(b"next")]) as app,
            Stage(lane, app.url) as stage,
        ):
            async with stage.line() as line:
                line.send(post(50_000_000) + b"x" * 100_000)
                answer = await line.answer()
                assert (answer.status, answer.body, answer.closes) == (413, b"big", True)
                line.send(b"x" * 1000 + GOOD)
                assert await line.rest() == b""
            async with stage.line() as line:
                assert (await line.ask(GOOD)).body == b"next"
            assert len(app.peers) == 2  # the first is never used again

    await asyncio.gather(*map(refused, THEN))


@LANES
async def test_an_answer_before_a_body_that_comes_later(lane: Lane) -> None:
    """The desynchronisation by pause: the body must not become the next request."""
    smuggled = asking(b"/open/smuggled")
    script: Script = [request, ok(b"early"), request, ok(b"BAD")]
    async with (
        upstream(script, [request, ok(b"next")]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        line.send(post(len(smuggled)))
        answer = await line.answer()
        assert (answer.body, answer.closes) == (b"early", True)
        line.send(smuggled + GOOD)
        assert await line.rest() == b""
        assert len(app.peers) == 1
        assert app.peers[0].received.count(b"HTTP/1.1") == 1


@LANES
async def test_our_own_refusal_does_not_wait_for_the_body(lane: Lane) -> None:
    """401 while the body is still to come: answered at once; what follows is no request."""
    smuggled = asking(b"/open/smuggled")
    async with Stage(lane) as stage:
        await stage.warm()
        async with stage.line() as line:
            line.send(asking(b"/app", b"Content-Length: %d\r\n" % len(smuggled), method=b"POST"))
            answer = await line.answer()
            assert (answer.status, answer.closes) == (401, False)
            line.send(smuggled)
            assert (await line.ask(GOOD)).body == b"GET /open/good"
        assert b"/open/smuggled" not in stage.recorder.targets


@LANES
async def test_a_refusal_of_ours_in_the_middle_of_chunks(lane: Lane) -> None:
    async with Stage(lane, server={"max_body_size": 1000}) as stage, stage.line() as line:
        line.send(asking(b"/open/x", b"Transfer-Encoding: chunked\r\n", method=b"POST"))
        line.send(b"1f4\r\n" + b"x" * 500 + b"\r\n")
        line.send(b"1f4\r\n" + b"x" * 500 + b"\r\n1\r\nx\r\n")
        answer = await line.answer()
        assert (answer.status, answer.closes) == (413, True)
        line.send(b"0\r\n\r\n" + GOOD)
        assert await line.rest() == b""
        assert stage.recorder.requests == []
