"""What an upstream does wrong (security.md 3.3): the client is told, the next one unharmed."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.scripted import Step, finish, request, reset, until, upstream
from tests.hazards.stage import GOOD, LANES, Lane, Stage, asking, ok

START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
GHOST = ok(b"ghost", b"Set-Cookie: ghost=1\r\n")

REFUSED = {
    "length and coding": START
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": START + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "length with a plus": START + b"Content-Length: +5\r\n\r\nhello",
    "bare LF": START + b"A: b\nContent-Length: 0\r\n\r\n",
    "bare CR": START + b"A: b\rC: d\r\nContent-Length: 0\r\n\r\n",
    "NUL": START + b"A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "folding": START + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a flood of 1xx": b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" * 1000,
    "101 unasked": b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw",
    "a head of 1 MiB": START + b"X: " + b"x" * 2**20 + b"\r\n\r\n",
    "10,000 cookies": START + b"Set-Cookie: a=b\r\n" * 10_000 + b"\r\n",
    "status 099": b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
    "status 1000": b"HTTP/1.1 1000 No\r\nContent-Length: 0\r\n\r\n",
    "status 2xx": b"HTTP/1.1 2xx No\r\nContent-Length: 0\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n\r\n",
    "another coding": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
}


@LANES
async def test_a_broken_head_is_a_502(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        for name, answer in REFUSED.items():
            with subtests.test(name):
                await stage.warm()
                stage.recorder.answers[b"/open/x"] = answer
                async with stage.line() as line:
                    got = await line.ask(asking())
                    assert got.status == 502, got
                    assert b"upstream_invalid" in got.body
                    # It is the upstream's fault: the client's connection goes on.
                    assert (await line.ask(GOOD)).body == b"GET /open/good"
                assert len(stage.recorder.open) == 1


BROKEN = {
    "a short body": (START + b"Content-Length: 9\r\n\r\nhello", True),
    "no last chunk": (CHUNKED + b"5\r\nhello\r\n", True),
    "half a chunk": (CHUNKED + b"5\r\nhel", True),
    "a chunk size in LF": (CHUNKED + b"5\r\nhello\r\n5\nhello", False),
    "a chunk size with 0x": (CHUNKED + b"5\r\nhello\r\n0x5\r\n", False),
    "data after a chunk": (CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n", False),
    "trailers without end": (CHUNKED + b"0\r\nA: " + b"a" * 200_000, False),
}


@LANES
async def test_a_broken_body_never_ends_cleanly(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        for name, (answer, closes) in BROKEN.items():
            with subtests.test(name):
                await stage.warm()
                stage.recorder.answers[b"/open/x"] = answer
                stage.recorder.closing = {b"/open/x"} if closes else set()
                async with stage.line() as line:
                    line.send(asking() + GOOD)
                    rest = await line.rest()
                    assert rest.count(b"HTTP/1.1 ") == 1, rest
                    assert rest.startswith((b"HTTP/1.1 200", b"HTTP/1.1 502"))
                    if rest.startswith(b"HTTP/1.1 200"):
                        assert not rest.endswith(b"0\r\n\r\n")
                        assert not rest.endswith(b"\r\nhellohell")


FOLLOWED = {
    "bytes after the length": (b"GET", ok(b"ok") + b"extra", b"ok"),
    "a ghost": (b"GET", ok(b"ok") + GHOST, b"ok"),
    "a ghost after chunks": (b"GET", CHUNKED + b"0\r\n\r\n" + GHOST, b"0\r\n\r\n"),
    "204 with a body": (b"GET", b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", b""),
    "304 with a body": (b"GET", b"HTTP/1.1 304 Same\r\n\r\n" + GHOST, b""),
    "HEAD with a body": (b"HEAD", ok(b"body"), b""),
    "HEAD with chunks": (b"HEAD", CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b""),
    "HEAD with a ghost": (b"HEAD", START + b"Content-Length: 0\r\n\r\n" + GHOST, b""),
}  # fmt: skip


@LANES
async def test_nothing_bleeds_into_the_next_response(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        for name, (method, answer, body) in FOLLOWED.items():
            with subtests.test(name):
                await stage.warm()
                stage.recorder.answers[b"/open/x"] = answer
                before = stage.recorder.connections
                async with stage.line() as line, stage.line() as other:
                    got = await line.ask(asking(method=method))
                    assert got.body == body
                    assert lane == "slow" or stage.taken[-1]
                    assert (await other.ask(GOOD)).body == b"GET /open/good"
                    assert (await line.ask(GOOD)).body == b"GET /open/good"
                assert stage.recorder.connections == before + 1  # the old one was dropped


@LANES
async def test_unsolicited_bytes_discard_an_idle_connection(lane: Lane) -> None:
    speak = asyncio.Event()
    script: list[Step] = [request, ok(b"first"), until(speak), GHOST]
    async with (
        upstream(script, [request, ok(b"second")]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        await line.ask(GOOD)
        speak.set()
        await asyncio.wait_for(app.peers[0].gone.wait(), 5)
        assert (await line.ask(GOOD)).body == b"second"


@LANES
@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(GOOD, 200, id="a GET is asked again"),
        pytest.param(asking(method=b"HEAD"), 200, id="a HEAD is asked again"),
        pytest.param(asking(method=b"POST"), 502, id="a POST is not"),
        pytest.param(asking(lines=b"Content-Length: 1\r\n", body=b"x"), 502, id="nor a body"),
    ],
)
async def test_a_stale_connection(lane: Lane, data: bytes, status: int) -> None:
    async with (
        upstream([request, ok(b"one"), request, reset], [request, ok(b"")]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        await line.ask(GOOD)
        line.send(data)
        answer = await line.answer(data.partition(b" ")[0])
        assert answer.status == status
        assert len(app.peers) == (2 if status == 200 else 1)
        assert lane == "slow" or stage.taken[-1]


@LANES
async def test_silence_is_a_504_before_the_head_and_an_abort_after(lane: Lane) -> None:
    for said, found in (
        (b"", b"HTTP/1.1 504 "),
        (START + b"Content-Length: 9\r\n\r\nhello", START),
    ):
        timeouts = {"response_timeout": "0.2s", "idle_timeout": "0.2s"}
        async with (
            upstream([request, ok(b"one"), request, said]) as app,
            Stage(lane, app.url, forwarding=timeouts) as stage,
            stage.line() as line,
        ):
            await line.ask(GOOD)
            line.send(asking(lines=b"Connection: close\r\n"))
            rest = await line.rest()
            assert rest.startswith(found)
            assert rest.endswith(b"hello") or not said
            await asyncio.wait_for(app.peers[0].gone.wait(), 5)


@LANES
async def test_names_of_ours_and_of_one_hop_do_not_return(lane: Lane) -> None:
    lines = (
        b"Connection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Upgrade: h2c\r\nProxy-Authenticate: Basic\r\nTrailer: X\r\nX-Forwarded-User: root\r\n"
        b"X-Auth-Request-User: root\r\nX-Request-Id: theirs\r\nX-Keep: caf\xe9\r\n"
        b"Set-Cookie: __Host-auth_proxy=stolen; Path=/; Secure\r\nSet-Cookie: a=b\r\n"
    )
    async with Stage(lane) as stage:
        await stage.warm()
        stage.recorder.answers[b"/open/x"] = ok(b"ok", lines)
        async with stage.line() as line:
            answer = await line.ask(asking())
        names = [one.partition(b":")[0] for one in answer.head.split(b"\r\n")[1:-2]]
        assert names == [b"X-Keep", b"Set-Cookie", b"X-Request-Id", b"Content-Length"]
        assert b"X-Keep: caf\xe9\r\nSet-Cookie: a=b\r\n" in answer.head
        assert b"theirs" not in answer.head


@LANES
async def test_trailers_are_dropped(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        stage.recorder.answers[b"/open/x"] = CHUNKED + b"2\r\nok\r\n0\r\nSet-Cookie: a=b\r\n\r\n"
        async with stage.line() as line:
            assert (await line.ask(asking())).body == b"2\r\nok\r\n0\r\n\r\n"
            assert (await line.ask(GOOD)).status == 200


@LANES
async def test_a_body_without_length_ends_with_its_connection(lane: Lane) -> None:
    async with (
        upstream([request, ok(b"one"), request, START + b"\r\nhello", finish]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        await line.ask(GOOD)
        assert (await line.ask(asking())).body == b"5\r\nhello\r\n0\r\n\r\n"
