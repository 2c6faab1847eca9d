"""Upgrade, h2c, Expect: only what is understood is done (security.md 3.2, 2 and 10)."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.scripted import request, upstream
from tests.hazards.stage import GOOD, LANES, Lane, Stage, asking, fields, ok

ASKS = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
BODY = b"Content-Length: 3\r\n"

ORDINARY = {
    "h2c": asking(
        lines=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    ),
    "h2c with a body": asking(
        lines=b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + BODY, body=b"abc", method=b"POST"
    ),
    "TLS": asking(lines=b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"),
    "something": asking(lines=b"Connection: upgrade\r\nUpgrade: something\r\n"),
    "websocket without Connection": asking(lines=b"Upgrade: websocket\r\n" + KEY),
    "websocket by POST": asking(lines=ASKS + KEY + BODY, body=b"abc", method=b"POST"),
    "websocket by HEAD": asking(lines=ASKS + KEY, method=b"HEAD"),
    "a name like it": asking(lines=b"Connection: Upgrade\r\nUpgrade: websocketx\r\n"),
}


@LANES
async def test_other_upgrades_are_ordinary_requests(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, data in ORDINARY.items():
            with subtests.test(name):
                before = len(stage.recorder.requests)
                async with stage.line() as line:
                    assert (await line.ask(data)).status == 200
                    rest = await line.ask(GOOD)
                    assert rest.body == b"GET /open/good"
                first, second = stage.recorder.requests[before:]
                names = {field.lower() for field, _ in fields(first)}
                assert not names & {b"upgrade", b"connection", b"http2-settings"}
                assert second.startswith(b"GET /open/good ")


@LANES
async def test_a_handshake_with_a_body_is_refused(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        await stage.check_refused(asking(lines=ASKS + KEY + BODY, body=b"abc"))
        chunked = b"Transfer-Encoding: chunked\r\n"
        await stage.check_refused(asking(lines=ASKS + KEY + chunked, body=b"0\r\n\r\n"))


@LANES
async def test_nothing_is_smuggled_through_a_refused_handshake(lane: Lane) -> None:
    """Bytes that come with a handshake are frames, or the next request: never the upstream's."""
    async with Stage(lane) as stage:
        await stage.warm()
        before = len(stage.recorder.requests)
        async with stage.line() as line:
            line.send(asking(lines=ASKS + KEY) + asking(b"/app") + asking(b"/open/next"))
            assert (await line.answer()).status == 200
            await asyncio.wait_for(line.reader.read(65536), 5)
        targets = stage.recorder.targets[before:]
        assert targets[0] == b"/open/x"
        assert b"/app" not in targets


@LANES
async def test_nothing_is_smuggled_before_the_upstream_has_agreed(lane: Lane) -> None:
    async with (
        upstream([request, ok(b"no")]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        line.send(asking(lines=ASKS + KEY) + b"raw bytes for the upstream")
        assert (await line.answer()).status == 200
        assert b"raw bytes" not in app.peers[0].received


EXPECT = b"Expect: 100-continue\r\n"


@LANES
async def test_continue_is_said_by_us_when_the_body_is_wanted(lane: Lane) -> None:
    async with Stage(lane) as stage, stage.line() as line:
        line.send(asking(lines=EXPECT + BODY, method=b"POST"))
        assert (await line.answer()).raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.send(b"abc")
        assert (await line.answer()).body == b"POST /open/x"
        (seen,) = stage.recorder.requests
        assert seen.endswith(b"\r\n\r\nabc")
        assert b"xpect" not in seen
        assert (await line.ask(GOOD)).body == b"GET /open/good"


@LANES
async def test_nobody_unknown_is_told_to_continue(lane: Lane) -> None:
    async with Stage(lane) as stage, stage.line() as line:
        line.send(asking(b"/app", EXPECT + BODY, method=b"POST"))
        assert (await line.answer()).status == 401
        assert stage.recorder.requests == []


@LANES
async def test_who_does_not_wait_for_continue_is_served(lane: Lane) -> None:
    async with Stage(lane) as stage, stage.line() as line:
        line.send(asking(lines=EXPECT + BODY, body=b"abc", method=b"POST"))
        answer = await line.answer()
        if answer.status == 100:
            answer = await line.answer()
        assert answer.body == b"POST /open/x"
        assert (await line.ask(GOOD)).body == b"GET /open/good"
        assert stage.recorder.targets == [b"/open/x", b"/open/good"]


@LANES
async def test_other_expectations_are_not_met(lane: Lane) -> None:
    async with Stage(lane) as stage:
        for value in b"something|100-continue, x|200-ok|100-continue; a=b|x 100-continue".split(
            b"|"
        ):
            async with stage.line() as line:
                lines = b"Expect: " + value + b"\r\n" + BODY
                assert (await line.ask(asking(lines=lines, body=b"abc"))).status == 417
        assert stage.recorder.requests == []


@LANES
async def test_an_expectation_without_a_body_is_no_reason_to_wait(lane: Lane) -> None:
    async with Stage(lane) as stage, stage.line() as line:
        for _ in range(2):
            answer = await line.ask(asking(lines=EXPECT))
            assert (answer.status, answer.body) == (200, b"GET /open/x")
        assert all(b"xpect" not in seen for seen in stage.recorder.requests)
