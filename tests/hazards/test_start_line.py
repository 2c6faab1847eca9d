"""The request line: HTTP/1.1 and 1.0 in their plain form, nothing else (RFC 9112 section 3)."""

from __future__ import annotations

import pytest

from tests.hazards.stage import HOST_LINE, LANES, Lane, Stage, asking, fields
from tests.web.place import HOST

REST = b"\r\n" + HOST_LINE + b"\r\n"
NAME = HOST.encode()

REFUSED = {
    "HTTP/0.9": (b"GET /open/x" + REST, 400),
    "HTTP/0.9 by name": (b"GET /open/x HTTP/0.9" + REST, 505),
    "HTTP/2.0": (b"GET /open/x HTTP/2.0" + REST, 505),
    "HTTP/1.2": (b"GET /open/x HTTP/1.2" + REST, 505),
    "HTTP/3": (b"GET /open/x HTTP/3" + REST, 505),
    "HTTP/1.10": (b"GET /open/x HTTP/1.10" + REST, 505),
    "HTTP/11": (b"GET /open/x HTTP/11" + REST, 505),
    "http/1.1": (b"GET /open/x http/1.1" + REST, 400),
    "HTTP/ 1.1": (b"GET /open/x HTTP/ 1.1" + REST, 400),
    "HTTPS/1.1": (b"GET /open/x HTTPS/1.1" + REST, 400),
    "ICE/1.0": (b"GET /open/x ICE/1.0" + REST, 400),
    "RTSP/1.0": (b"GET /open/x RTSP/1.0" + REST, 400),
    "the HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "PRI": (b"PRI * HTTP/1.1" + REST, 400),
    "two spaces after the method": (b"GET  /open/x HTTP/1.1" + REST, 400),
    "two spaces before the version": (b"GET /open/x  HTTP/1.1" + REST, 400),
    "a space at the end": (b"GET /open/x HTTP/1.1 " + REST, 400),
    "a space at the start": (b" GET /open/x HTTP/1.1" + REST, 400),
    "a tab after the method": (b"GET\t/open/x HTTP/1.1" + REST, 400),
    "a tab before the version": (b"GET /open/x\tHTTP/1.1" + REST, 400),
    "a form feed": (b"GET\x0c/open/x HTTP/1.1" + REST, 400),
    "a space in the target": (b"GET /open/x y HTTP/1.1" + REST, 400),
    "LF": (b"GET /open/x HTTP/1.1\n" + HOST_LINE + b"\r\n", 400),
    "CR": (b"GET /open/x HTTP/1.1\r" + HOST_LINE + b"\r\n", 400),
    "LF everywhere": (b"GET /open/x HTTP/1.1\nHost: a\n\n", 400),
    "two empty lines before": (b"\r\n\r\nGET /open/x HTTP/1.1" + REST, 400),
    "an empty line of LF before": (b"\nGET /open/x HTTP/1.1" + REST, 400),
    "no target": (b"GET HTTP/1.1" + REST, 400),
    "method alone": (b"GET" + REST, 400),
    "small letters": (b"get /open/x HTTP/1.1" + REST, 400),
    "an unknown method": (b"QUERYX /open/x HTTP/1.1" + REST, 400),
    "a method with a colon": (b"GET: /open/x HTTP/1.1" + REST, 400),
    "a method with NUL": (b"GE\0T /open/x HTTP/1.1" + REST, 400),
    "a method without end": (b"A" * 100 + b" /open/x HTTP/1.1" + REST, 400),
    "TRACE": (b"TRACE /open/x HTTP/1.1" + REST, 405),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    "CONNECT to us": (b"CONNECT %b HTTP/1.1" % NAME + REST, 405),
    "the asterisk": (b"OPTIONS * HTTP/1.1" + REST, 400),
    "the asterisk with GET": (b"GET * HTTP/1.1" + REST, 400),
    "authority form": (b"GET %b:443 HTTP/1.1" % NAME + REST, 400),
    "no slash": (b"GET open/x HTTP/1.1" + REST, 400),
    "another scheme": (b"GET ftp://%b/open/x HTTP/1.1" % NAME + REST, 400),
    "file": (b"GET file:///open/x HTTP/1.1" + REST, 400),
    "absolute form of another host": (b"GET http://evil.test/open/x HTTP/1.1" + REST, 400),
    "absolute form with userinfo": (b"GET http://a@%b/open/x HTTP/1.1" % NAME + REST, 400),
    "absolute form of no host": (b"GET http:///open/x HTTP/1.1" + REST, 400),
    "absolute form with a backslash": (
        b"GET http://%b\\@evil.test/open/x HTTP/1.1" % NAME + REST,
        400,
    ),
    "a fragment": (b"GET /open/x#y HTTP/1.1" + REST, 400),
    "NUL in the target": (b"GET /open/x\0 HTTP/1.1" + REST, 400),
    "DEL in the target": (b"GET /open/\x7f HTTP/1.1" + REST, 400),
    "obs-text in the target": (b"GET /open/caf\xe9 HTTP/1.1" + REST, 400),
    "obs-text in the query": (b"GET /open/x?caf\xe9 HTTP/1.1" + REST, 400),
    "TLS instead of HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 40, 400),
    "a PROXY line": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1" + REST, 400),
    "an answer": (b"HTTP/1.1 200 OK\r\n\r\n", 400),
    "no HTTP": (b"EHLO localhost\r\n\r\n", 400),
}


@LANES
async def test_odd_request_lines_are_refused(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, (data, status) in REFUSED.items():
            with subtests.test(name):
                answer = await stage.check_refused(data, status)
                assert b"aiohttp" not in answer.raw
                if status == 405:
                    assert b"\r\nAllow: " in answer.head


@LANES
async def test_not_http_is_refused_before_the_head_is_whole(
    lane: Lane, subtests: pytest.Subtests
) -> None:
    """Who does not speak HTTP learns so at once, not after the header deadline."""
    rows = {
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
        "HTTP/0.9": b"GET /\r\n",
        "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n",
        "LF": b"GET / HTTP/1.1\nHost: a\n\n",
        "SMTP": b"EHLO localhost\r\n",
        "small letters": b"hello",
    }
    async with Stage(lane) as stage:
        for name, data in rows.items():
            with subtests.test(name):
                await stage.check_refused(data, 400, 505)


PASSED = {
    "plain": (b"GET /open/x HTTP/1.1", b"GET /open/x"),
    "a query": (b"GET /open/x?a=b&c=%20d?e HTTP/1.1", b"GET /open/x?a=b&c=%20d?e"),
    "an empty line before": (b"\r\nGET /open/x HTTP/1.1", b"GET /open/x"),
    "absolute form": (b"GET http://%b/open/x HTTP/1.1" % NAME, b"GET /open/x"),
    "absolute form, https": (b"GET https://%b/open/x?a HTTP/1.1" % NAME, b"GET /open/x?a"),
    "absolute form in other letters": (
        b"GET HTTP://%b/open/x HTTP/1.1" % NAME.upper(),
        b"GET /open/x",
    ),
    "percent": (b"GET /open/%41%C3%A9 HTTP/1.1", b"GET /open/%41%C3%A9"),
    "HTTP/1.0": (b"GET /open/x HTTP/1.0", b"GET /open/x"),
    **{
        method.decode(): (method + b" /open/x HTTP/1.1", method + b" /open/x")
        for method in (
            b"HEAD POST PUT PATCH DELETE OPTIONS PROPFIND MKCOL COPY MOVE LOCK UNLOCK REPORT"
            b" SEARCH PURGE M-SEARCH"
        ).split()
    },
}


@LANES
async def test_good_request_lines_pass_unchanged(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, (line, seen) in PASSED.items():
            with subtests.test(name):
                before = len(stage.recorder.requests)
                method = line.lstrip().partition(b" ")[0]
                async with stage.line() as connection:
                    connection.send(line + REST)
                    assert (await connection.answer(method)).status == 200
                (request,) = stage.recorder.requests[before:]
                assert request.startswith(seen + b" HTTP/1.1\r\n")
                assert [value for field, value in fields(request) if field == b"Host"] == [NAME]


@LANES
async def test_http_1_0_is_closed_unless_it_asks(lane: Lane) -> None:
    old = asking(b"/open/x").replace(b"HTTP/1.1", b"HTTP/1.0")
    async with Stage(lane) as stage:
        await stage.warm()
        async with stage.line() as line:
            assert (await line.ask(old)).closes
            assert await line.rest() == b""
        async with stage.line() as line:
            for _ in range(2):
                answer = await line.ask(
                    old.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
                )
                assert b"Connection: keep-alive" in answer.head
