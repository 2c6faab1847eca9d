"""What is for one hop stays on it, and Connection cannot take ours away (RFC 9110 7.6.1)."""

from __future__ import annotations

import pytest

from tests.hazards.stage import LANES, Lane, Stage, asking, fields

GONE = {
    "Connection": b"Connection: keep-alive\r\n",
    "Connection, doubled": b"Connection: keep-alive\r\nConnection: X-A\r\nX-A: b\r\n",
    "a name of its own": b"Connection: X-A\r\nX-A: b\r\n",
    "a name in other letters": b"Connection: x-A\r\nX-a: b\r\n",
    "a list of names": b"Connection: keep-alive, X-A ,\tx-c\r\nX-A: b\r\nX-C: d\r\n",
    "names after close": b"connection: X-A\r\nCONNECTION: X-C\r\nX-A: b\r\nX-C: d\r\n",
    "Keep-Alive": b"Keep-Alive: timeout=5\r\n",
    "Proxy-Connection": b"Proxy-Connection: keep-alive\r\n",
    "Proxy-Authorization": b"Proxy-Authorization: Basic YTpi\r\n",
    "Proxy-Authenticate": b"Proxy-Authenticate: Basic\r\n",
    "TE": b"TE: trailers\r\n",
    "TE, nominated": b"Connection: TE\r\nTE: trailers\r\n",
    "Trailer": b"Trailer: X-A\r\n",
    "Upgrade to another": b"Connection: upgrade\r\nUpgrade: foo\r\n",
    "HTTP2-Settings": b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
}


@LANES
async def test_hop_by_hop_fields_end_here(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, lines in GONE.items():
            with subtests.test(name):
                seen = await stage.check_passes(asking(b"/open/x", lines + b"X-Good: v\r\n"))
                sent = {line.partition(b":")[0].lower() for line in lines.split(b"\r\n") if line}
                assert not sent & {n.lower() for n, _ in fields(seen)}
                assert (b"X-Good", b"v") in fields(seen)


OURS = [
    b"Host", b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Forwarded-Proto", b"X-Request-Id",
    b"X-Forwarded-Identity", b"X-Forwarded-User", b"X-Forwarded-Email", b"X-Forwarded-Groups",
]  # fmt: skip


@LANES
async def test_connection_does_not_remove_what_we_add(
    lane: Lane, subtests: pytest.Subtests
) -> None:
    """Traefik CVE-2024-45410 and its lower-case bypass, Oathkeeper GHSA-w9mr."""
    async with Stage(lane) as stage:
        cookie = await stage.sign_in()
        await stage.warm(asking(b"/app", cookie))
        for name in (*OURS, *(one.lower() for one in OURS), b", ".join(OURS)):
            for value in (name, b"close, " + name, b"keep-alive, " + name):
                with subtests.test(value.decode()):
                    lines = cookie + b"Connection: " + value + b"\r\n"
                    seen = await stage.check_passes(asking(b"/app", lines))
                    names = [found for found, _ in fields(seen)]
                    assert all(names.count(one) == 1 for one in OURS), names


@LANES
async def test_what_others_decide_by_cannot_be_nominated(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for line in b"Authorization: Bearer x|Cookie: a=b|Content-Type: a/b|Origin: a".split(b"|"):
            name, _, value = line.partition(b": ")
            lines = line + b"\r\nConnection: " + name.lower() + b"\r\n"
            assert (name, value) in fields(await stage.check_passes(asking(b"/open/x", lines)))


@LANES
async def test_close_is_obeyed_and_goes_no_further(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for value in (b"close", b"Close", b"keep-alive, close", b"close, X-A"):
            async with stage.line() as line:
                answer = await line.ask(asking(b"/open/x", b"Connection: " + value + b"\r\n"))
                assert answer.closes
                assert await line.rest() == b""
        assert stage.recorder.connections == 1  # the upstream's was kept all the while
