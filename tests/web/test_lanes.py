"""Both lanes, the same requests: the upstream sees the same bytes, and so does the client."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hazards.stage import HOST_LINE, Lane, Stage, asking
from tests.web.place import HOST

_ID = re.compile(rb"\b[0-9a-f]{16}\b")
_DATE = re.compile(rb"(?i)\r\ndate: [^\r]*")
_SIGN_IN = re.compile(rb"(state|nonce|code_challenge|_login_[0-9a-f]{16})=[\w.~-]+")

Told = tuple[list[bytes], list[bytes]]
"""What the upstream saw, what the client got; ids, dates and what is random masked."""


def masked(data: bytes) -> bytes:
    data = _SIGN_IN.sub(lambda found: found[1][:6] + b"=*", data)
    return _DATE.sub(b"\r\nDate: *", _ID.sub(b"*", data))


async def tell(stage: Stage, lane: Lane, data: bytes) -> Told:
    """Send a request down one lane, and another after it where the connection stays."""
    stage.choose(lane)
    before = len(stage.recorder.requests)
    async with stage.line() as line:
        line.send(data)
        taken = stage.taken
        try:
            answer = await line.answer(data.lstrip(b"\r\n").partition(b" ")[0])
            taken = stage.taken[:]
            if answer.closes:
                got = [answer.raw, await line.rest()]
            else:
                got = [answer.raw, (await line.ask(asking(b"/open/after"))).raw]
        except asyncio.IncompleteReadError as cut:
            got = [b"cut", cut.partial]
        except ConnectionError:
            got = [b"reset"]
        stage.taken[:] = taken
    return [masked(one) for one in stage.recorder.requests[before:]], [masked(one) for one in got]


async def compare(
    stage: Stage, data: bytes, *, fast: bool | None = None, other: bytes = b""
) -> Told:
    """Both lanes tell the same; ``fast``: whether the fast lane takes it once it knows it.

    ``other`` goes down the slow lane instead of ``data``.
    """
    stage.choose("fast")
    await stage.warm()
    asked = len(stage.taken)
    one = await tell(stage, "fast", data)
    took = True in stage.taken[asked:]
    stage.choose("fast")
    await stage.warm()  # as many idle connections as before
    assert one == await tell(stage, "slow", other or data)
    assert fast is None or took is fast, (took, one)
    return one


def old(data: bytes) -> bytes:
    return data.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)


def body(method: bytes, data: bytes, lines: bytes = b"", target: bytes = b"/open/x") -> bytes:
    return asking(target, lines + b"Content-Length: %d\r\n" % len(data), data, method)


PAGE = b"Accept: text/html,application/xhtml+xml;q=0.9\r\nSec-Fetch-Mode: navigate\r\n"
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)

HOT = {
    "GET": asking(),
    "HEAD": asking(method=b"HEAD"),
    "OPTIONS": asking(method=b"OPTIONS"),
    "DELETE": asking(method=b"DELETE"),
    "PROPFIND": asking(method=b"PROPFIND"),
    "POST without a length": asking(method=b"POST"),
    "POST of nothing": body(b"POST", b""),
    "POST": body(b"POST", b"a=b&c=d", b"Content-Type: application/x-www-form-urlencoded\r\n"),
    "PUT": body(b"PUT", bytes(range(256))),
    "PATCH": body(b"PATCH", b"{}"),
    "DELETE with a body": body(b"DELETE", b"{}"),
    "GET with a body": body(b"GET", b"{}"),
    "GET with a length of nothing": body(b"GET", b""),
    "a body that looks like a request": body(b"POST", asking()),
    "60 KiB of body": body(b"PUT", b"x" * 60_000),
    "a query": asking(b"/open/x?a=b&&c=%20&d=?e/f"),
    "an empty query": asking(b"/open/x?"),
    "escapes": asking(b"/open/%41%c3%a9%7e/~"),
    "odd but legal": asking(b"/open/:@!$&'()*+,=-._~|^`{}[]\""),
    "absolute form": asking(b"http://" + HOST.encode() + b"/open/x?y"),
    "an empty line before": b"\r\n" + asking(),
    "a page": asking(lines=PAGE),
    "a page's part": asking(lines=b"Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: x\r\n"),
    "XMLHttpRequest": asking(lines=b"X-Requested-With: XMLHttpRequest\r\n" + PAGE),
    "several Accept": asking(lines=b"Accept: a/b\r\nAccept: text/html\r\n"),
    "several of a name": asking(lines=b"X-A: 1\r\nx-a: 2\r\nX-B: 3\r\nX-A: 1\r\n"),
    "obs-text": asking(lines=b"X-A: caf\xe9\r\nX-B: \x85\xa0\r\nX-C: \xff\xfe\r\n"),
    "UTF-8": asking(lines="X-A: café ☃\r\n".encode()),
    "empty values": asking(lines=b"X-A:\r\nX-B: \r\nX-C:\t\r\n"),
    "blanks within": asking(lines=b"X-A: a  b\tc\r\nX-B:  a \t\r\n"),
    "names that do not pass": asking(lines=b"X_A: 1\r\nX.A: 2\r\nX-Forwarded-User: root\r\n"),
    "hop by hop": asking(lines=b"TE: trailers\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n"),
    "keep-alive": asking(lines=b"Connection: keep-alive\r\n"),
    "a nominated name": asking(lines=b"Connection: X-A, keep-alive\r\nX-A: b\r\n"),
    "close": asking(lines=b"Connection: close\r\n"),
    "close with a body": body(b"POST", b"abc", b"Connection: close\r\n"),
    "HTTP/1.0": old(asking()),
    "HTTP/1.0 that stays": old(asking(lines=b"Connection: keep-alive\r\n")),
    "HTTP/1.0 with a body": old(body(b"POST", b"abc")),
    "HTTP/1.0, HEAD": old(asking(method=b"HEAD")),
    "cookies of others": asking(lines=b"Cookie: a=b; c=d\r\nCookie: e=f\r\n"),
    "odd cookies": asking(lines=b"Cookie: ; =x; a; b==c;d=\"e f\" ;\r\n"),
    "authorization": asking(lines=b"Authorization: Basic YTpi\r\n"),
    "a range": asking(lines=b"Range: bytes=0-1\r\nIf-Range: \"a\"\r\n"),
    "conditions": asking(lines=b"If-None-Match: \"a\", W/\"b\"\r\nIf-Modified-Since: x\r\n"),
    "a given id": asking(lines=b"X-Request-Id: mine\r\n"),
    "a path parameter below a login": asking(b"/app;a=b"),
    "an optional route, nobody": asking(b"/maybe/x"),
}  # fmt: skip

COLD = {
    "chunks": asking(
        lines=b"Transfer-Encoding: chunked\r\n", body=b"3\r\nabc\r\n0\r\n\r\n", method=b"POST"
    ),
    "expectation": body(b"POST", b"abc", b"Expect: something\r\n"),
    "TRACE": asking(method=b"TRACE"),
    "another host": asking().replace(HOST_LINE, b"Host: evil.test\r\n"),
    "two hosts": asking(lines=HOST_LINE),
    "dot segments": asking(b"/open/../app"),
    "an escaped slash": asking(b"/open/%2e%2e%2fapp"),
    "an empty segment": asking(b"/open//x"),
    "a path parameter on an open route": asking(b"/open/x;y"),
    "two authorizations": asking(lines=b"Authorization: a\r\nAuthorization: b\r\n"),
    "a program without a session": asking(b"/app"),
    "a page without a session": asking(b"/app", PAGE),
    "POST without a session": body(b"POST", b"abc", target=b"/app"),
    "HEAD without a session": asking(b"/app", method=b"HEAD"),
    "a WebSocket that nobody answers": asking(b"/open/x", WEBSOCKET),
    "a foreign session cookie": asking(b"/app", b"Cookie: __Host-auth_proxy=nonsense\r\n"),
    "a session cookie without a value": asking(b"/app", b"Cookie: __Host-auth_proxy=\r\n"),
    "ping": asking(b"/ping"),
    "keys": asking(b"/oauth2/.well-known/jwks.json"),
    "an unknown endpoint": asking(b"/oauth2/nothing"),
    "user info without a session": asking(b"/oauth2/userinfo"),
    "forward-auth without a session": asking(b"/oauth2/auth"),
    "not HTTP": b"nonsense\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\n\r\n",
    "two lengths": asking(lines=b"Content-Length: 1\r\nContent-Length: 1\r\n"),
}


async def test_requests_that_are_hot(subtests: pytest.Subtests) -> None:
    async with Stage() as stage:
        stage.cookie = await stage.sign_in()
        await stage.warm()
        for name, data in HOT.items():
            given = data.replace(HOST_LINE, HOST_LINE + stage.cookie) if b"/app" in data else data
            with subtests.test(name):
                await compare(stage, given, fast=True)


async def test_requests_that_the_fast_lane_leaves_alone(subtests: pytest.Subtests) -> None:
    async with Stage() as stage:
        await stage.warm()
        for name, data in COLD.items():
            with subtests.test(name):
                await compare(stage, data, fast=False)


async def test_the_same_with_a_session(subtests: pytest.Subtests) -> None:
    async with Stage() as stage:
        cookie = await stage.sign_in()
        for name, data in HOT.items():
            with subtests.test(name):
                given = data.replace(HOST_LINE, HOST_LINE + cookie).replace(b"/open/", b"/app/")
                await compare(stage, given, fast=True)


FORWARD_AUTH = {
    "plain": (b"/oauth2/auth", b"", True),
    "fitting": (b"/oauth2/auth?allowed_groups=dev", b"", None),
    "not fitting": (b"/oauth2/auth?allowed_groups=nobodies", b"", False),
    "two conditions": (b"/oauth2/auth?allowed_groups=dev&allowed_emails=a@b.c", b"", None),
    "an unknown word": (b"/oauth2/auth?x=y", b"", None),
    "a broken query": (b"/oauth2/auth?allowed_groups", b"", None),
    "as a page": (b"/oauth2/auth", PAGE, None),
    "with what nginx adds": (
        b"/oauth2/auth",
        b"X-Original-URL: https://a/b\r\nX-Forwarded-Uri: /b\r\nX-Forwarded-Method: POST\r\n",
        True,
    ),
    "that closes": (b"/oauth2/auth", b"Connection: close\r\n", None),
    "of another host": (b"/oauth2/auth", b"X-Forwarded-Host: evil.test\r\n", True),
}


async def test_forward_auth(subtests: pytest.Subtests) -> None:
    async with Stage() as stage:
        cookie = await stage.sign_in()
        for name, (target, lines, fast) in FORWARD_AUTH.items():
            for method in (b"GET", b"HEAD", b"POST"):
                with subtests.test(f"{method.decode()}, {name}"):
                    data = asking(target, cookie + lines, method=method)
                    await compare(stage, data, fast=fast if method == b"GET" else None)
                    await compare(stage, old(data))


TOKENS = st.text("abcXYZ019-_.!~", min_size=1, max_size=8).map(str.encode)
VALUES = st.binary(max_size=12).map(
    lambda data: bytes(b for b in data if b == 9 or (b >= 32 and b != 127)).strip(b" \t")
)
PATHS = st.text("abc019-._~%/;:@!$&'()*+,=|\"<>[]^`{}", max_size=12).map(str.encode)
KNOWN = st.sampled_from(
    b"Accept|Connection|Cookie|Authorization|Sec-Fetch-Mode|X-Forwarded-For|Keep-Alive|TE|Upgrade"
    b"|X-Requested-With|Expect|Origin|Host|Content-Type|X-Request-Id|Referer|Via".split(b"|")
)
MEANT = st.sampled_from(
    b"close|keep-alive|text/html|navigate|websocket|upgrade|X-A|a=b; c=d|Bearer x|100-continue"
    b"|https://a.test|trailers|1.2.3.4|deflate|mine".split(b"|")
)
LINES = st.lists(st.tuples(st.one_of(TOKENS, KNOWN), st.one_of(VALUES, MEANT)), max_size=6)


REQUESTS = st.builds(
    lambda method, path, query, lines, data, version: (
        b"%b /%b%b HTTP/%b\r\n" % (method, path, query, version)
        + HOST_LINE
        + b"".join(b"%b: %b\r\n" % line for line in lines)
        + (b"Content-Length: %d\r\n" % len(data) if data else b"")
        + b"\r\n"
        + data
    ),
    st.sampled_from(b"GET|GET|HEAD|POST|PUT|OPTIONS|DELETE".split(b"|")),
    st.tuples(st.sampled_from([b"open/", b"app/", b"maybe/", b"oauth2/auth", b""]), PATHS).map(
        b"".join
    ),
    st.one_of(st.just(b""), PATHS.map(b"?".__add__)),
    LINES,
    st.one_of(st.just(b""), st.binary(max_size=40)),
    st.sampled_from([b"1.1", b"1.1", b"1.0"]),
)


@settings(max_examples=8, suppress_health_check=list(HealthCheck), derandomize=True)
@given(requests=st.lists(REQUESTS, min_size=15, max_size=15), signed_in=st.booleans())
async def test_any_request(requests: list[bytes], signed_in: bool) -> None:
    async with Stage() as stage:
        cookie = await stage.sign_in() if signed_in else b""
        for data in requests:
            await compare(stage, data.replace(HOST_LINE, HOST_LINE + cookie, 1))
