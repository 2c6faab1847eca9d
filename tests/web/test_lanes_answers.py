"""Whatever the upstream answers, the client gets the same through either lane."""

from __future__ import annotations

import pytest

from tests.fakes.scripted import Step, request, reset, upstream
from tests.hazards.stage import GOOD, HOST_LINE, Lane, Stage, asking, ok
from tests.web.test_lanes import PAGE, compare, masked, old

START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"

ANSWERS: dict[str, tuple[bytes, bool]] = {
    # what is sent, and whether the upstream then closes
    "a body": (ok(b"body"), False),
    "nothing": (ok(b""), False),
    "a body that closes": (ok(b"body", b"Connection: close\r\n"), True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
    "HTTP/1.0 that stays": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", False,
    ),
    "chunks": (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", False),
    "chunks of nothing": (CHUNKED + b"0\r\n\r\n", False),
    "chunks with a trailer": (CHUNKED + b"2\r\nok\r\n0\r\nX-A: b\r\n\r\n", False),
    "until the end": (START + b"\r\nbody", True),
    "nothing until the end": (START + b"\r\n", True),
    "60 KiB": (ok(b"x" * 60_000), False),
    "1 MiB that is longer than a buffer": (ok(b"x" * 2**20), False),
    "201": (b"HTTP/1.1 201 Created\r\nLocation: /open/y\r\nContent-Length: 0\r\n\r\n", False),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", False),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", False),
    "205": (b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", False),
    "304": (b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", False),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False),
    "206": (b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nok", False),
    "302": (b"HTTP/1.1 302 Found\r\nLocation: http://a.test/\r\nContent-Length: 0\r\n\r\n", False),
    "401": (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", False),
    "404": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", False),
    "500": (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", False),
    "599": (b"HTTP/1.1 599 Mine\r\nContent-Length: 2\r\n\r\nno", False),
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", False),
    "no reason, no space": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", False),
    "obs-text": (ok(b"ok", b"X-A: caf\xe9\r\n").replace(b"OK", b"Tr\xe8s bien"), False),
    "several of a name": (ok(b"ok", b"Set-Cookie: a=b\r\nset-cookie: c=d\r\nVia: x\r\n"), False),
    "a cookie of ours": (ok(b"ok", b"Set-Cookie: __Host-auth_proxy=x; Path=/\r\n"), False),
    "hop by hop": (
        ok(b"ok", b"Connection: X-A\r\nX-A: b\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n"), False,
    ),
    "their date and server": (ok(b"ok", b"Date: then\r\nServer: mine\r\n"), False),
    "public": (ok(b"ok", b"Cache-Control: public, max-age=60\r\n"), False),
    "their request id": (ok(b"ok", b"X-Request-Id: theirs\r\n"), False),
    "blanks and empty values": (ok(b"ok", b"X-A:  b \t\r\nX-B:\r\n"), False),
    "one 1xx": (b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + ok(b"ok"), False),
    "sixteen 1xx": (b"HTTP/1.1 100 Continue\r\n\r\n" * 16 + ok(b"ok"), False),
    "seventeen 1xx": (b"HTTP/1.1 100 Continue\r\n\r\n" * 17 + ok(b"ok"), False),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", False),
    "no HTTP": (b"<html>", False),
    "two lengths": (START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok", False),
    "more than its length": (ok(b"ok") + b"extra", False),
    "a ghost": (ok(b"ok") + ok(b"ghost"), False),
    "less than its length": (START + b"Content-Length: 9\r\n\r\nhello", True),
    "less than its chunks": (CHUNKED + b"5\r\nhello\r\n", True),
    "half a head": (START + b"Content-Le", True),
    "no answer": (b"", True),
}  # fmt: skip

REQUESTS = {
    "GET": asking(),
    "HEAD": asking(method=b"HEAD"),
    "POST": asking(lines=b"Content-Length: 3\r\n", body=b"abc", method=b"POST"),
    "HTTP/1.0": old(asking()),
    "page": asking(lines=PAGE),
    "close": asking(lines=b"Connection: close\r\n"),
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_answers(kind: str, subtests: pytest.Subtests) -> None:
    async with Stage() as stage:
        for name, (answer, closes) in ANSWERS.items():
            with subtests.test(name):
                stage.recorder.answers[b"/open/x"] = answer
                stage.recorder.closing = {b"/open/x"} if closes else set()
                await compare(stage, REQUESTS[kind], fast=True)


async def test_redirects_of_an_upstream_that_knows_its_own_name() -> None:
    async with Stage(routes=[{"path": "/*", "access": "public", "preserve_host": False}]) as stage:
        inner = stage.recorder.url.encode()
        stage.recorder.answers[b"/open/x"] = (
            b"HTTP/1.1 302 F\r\nLocation: %b/y\r\nContent-Length: 0\r\n\r\n" % inner
        )
        told = await compare(stage, asking(), fast=True)
        assert b"\r\nLocation: /y\r\n" in told[1][0]


@pytest.mark.parametrize("lines", [b"", PAGE], ids=["program", "page"])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param([reset], id="reset"),
        pytest.param([], id="silence"),
        pytest.param([START + b"Content-Length: 9\r\n\r\nhello", reset], id="reset in the body"),
        pytest.param([START + b"Content-Length: 9\r\n\r\nhello"], id="silence in the body"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n", reset], id="reset after 100"),
    ],
)
async def test_failures(script: list[Step], lines: bytes) -> None:
    """Each lane on a connection that has served before."""
    told: list[bytes] = []
    lanes: tuple[Lane, ...] = ("fast", "slow")
    for lane in lanes:
        play = [request, ok(b"first"), request, *script]
        timeouts = {"response_timeout": "0.2s", "idle_timeout": "0.2s"}
        async with (
            upstream(play, [request, *script]) as app,
            Stage(lane, app.url, forwarding=timeouts) as stage,
            stage.line() as line,
        ):
            await line.ask(GOOD)
            line.send(asking(b"/open/x", lines + b"Connection: close\r\n"))
            rest = await line.rest()
            assert lane == "slow" or stage.taken[-1]
            told.append(len(app.peers).to_bytes() + rest)
    assert HOST_LINE not in told[0]
    assert masked(told[0]) == masked(told[1])
