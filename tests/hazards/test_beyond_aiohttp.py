"""What aiohttp alone would let through: the fourteen points of security.md 3.2, by number.

Each is shown here in one breath; the other files of this folder have the variants.
"""

from __future__ import annotations

import re
from importlib.metadata import version

import aiohttp

from proxy.config.settings import Server
from proxy.web.calls import open_session
from proxy.web.server import check_parser
from proxy.wire.connection import BUFFER_LIMIT
from tests.hazards.stage import GOOD, HOST_LINE, LANES, Lane, Stage, asking, fields
from tests.web.place import HOST

NAME = HOST.encode()
REST = b"\r\n" + HOST_LINE + b"\r\n"


@LANES
async def test_1_bytes_beyond_ascii_are_kept_or_refused(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        seen = await stage.check_passes(asking(lines=b"X-Keep: \x85admin\xa0\r\nX-B: caf\xe9\r\n"))
        assert b"X-Keep: \x85admin\xa0\r\nX-B: caf\xe9\r\n" in seen
        await stage.check_refused(asking(lines=b"X-\xe9: a\r\n"))
        await stage.check_refused(asking().replace(NAME, b"caf\xe9.fr"))


@LANES
async def test_2_expect_is_ours_and_an_unknown_one_is_417(lane: Lane) -> None:
    length = b"Content-Length: 3\r\n"
    async with Stage(lane) as stage:
        async with stage.line() as line:
            line.send(asking(lines=b"Expect: 100-continue\r\n" + length, method=b"POST"))
            assert (await line.answer()).status == 100
            line.send(b"abc")
            assert (await line.answer()).status == 200
        async with stage.line() as line:
            answer = await line.ask(asking(lines=b"Expect: x\r\n" + length, body=b"abc"))
            assert answer.status == 417
        assert b"xpect" not in b"".join(stage.recorder.requests)


@LANES
async def test_3_all_lines_together_are_bounded(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.check_refused(asking(lines=b"X-A: %b\r\n" % (b"v" * 8000) * 5), 431)
        await stage.check_refused(asking(lines=b"A: b\r\n" * 100), 431)


@LANES
async def test_4_other_versions_and_spaces(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.check_refused(b"GET /open/x" + REST, 400)
        await stage.check_refused(b"GET /open/x HTTP/2.0" + REST, 505)
        await stage.check_refused(b"GET  /open/x HTTP/1.1" + REST, 400)


@LANES
async def test_5_connect_asterisk_and_trace_end_the_connection(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.check_refused(b"CONNECT a:443 HTTP/1.1" + REST, 405)
        await stage.check_refused(b"OPTIONS * HTTP/1.1" + REST, 400)
        await stage.check_refused(b"TRACE /open/x HTTP/1.1" + REST, 405)


@LANES
async def test_6_host_is_held_against_our_names(lane: Lane) -> None:
    async with Stage(lane) as stage:
        for host in (b"a b", b"a/b", b"a@" + NAME, NAME + b", a"):
            await stage.check_refused(asking().replace(NAME, host))
        await stage.check_refused(asking(b"http://evil.test/open/x"))
        async with stage.line() as line:
            assert (await line.ask(asking().replace(NAME, b"evil.test"))).status == 421


@LANES
async def test_7_names_with_underscores_do_not_pass(lane: Lane) -> None:
    wrong = b"Transfer_Encoding: chunked\r\nContent_Length: 5\r\nX_Forwarded_User: root\r\n"
    async with Stage(lane) as stage:
        seen = await stage.check_passes(asking(lines=wrong))
        assert b"_" not in seen


@LANES
async def test_8_connection_removes_what_is_the_clients_only(lane: Lane) -> None:
    names = b"X-A, Host, X-Forwarded-For, Authorization, Cookie, Content-Length"
    lines = b"Connection: %b\r\nX-A: b\r\nAuthorization: c\r\nCookie: d=e\r\n" % names
    async with Stage(lane) as stage:
        found = dict(fields(await stage.check_passes(asking(lines=lines))))
        assert b"X-A" not in found
        assert {b"Host", b"X-Forwarded-For", b"Authorization", b"Cookie"} <= set(found)


@LANES
async def test_9_chunk_extensions_are_bounded(lane: Lane) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n"
    body = b"3;" + b"e" * 65536 + b"\r\nabc\r\n0\r\n\r\n"
    async with Stage(lane) as stage, stage.line() as line:
        assert (await line.ask(asking(lines=chunked, body=body, method=b"POST"))).status == 400
        assert stage.recorder.requests == []


@LANES
async def test_10_only_websockets_are_upgrades(lane: Lane) -> None:
    lines = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\nUpgrade: %b\r\n"
    async with Stage(lane) as stage:
        for to in (b"h2c", b"TLS/1.2", b"HTTP/2.0", b"websocketx"):
            seen = await stage.check_passes(asking(lines=lines % to))
            assert b"pgrade" not in seen
            assert b"HTTP2" not in seen


@LANES
async def test_11_nothing_is_added_followed_or_unpacked(lane: Lane) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /app\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\n"
    async with Stage(lane) as stage:
        await stage.warm()
        stage.recorder.answers[b"/open/x"] = moved + b"Content-Length: 4\r\n\r\n\x1f\x8bno"
        async with stage.line() as line:
            answer = await line.ask(asking())
            assert (answer.status, answer.body) == (302, b"\x1f\x8bno")
            await line.ask(GOOD)
        names = {name.lower() for name, _ in fields(stage.recorder.requests[-1])}
        assert not names & {b"accept", b"accept-encoding", b"user-agent", b"cookie"}
        assert stage.recorder.targets[-2:] == [b"/open/x", b"/open/good"]


async def test_11_nor_where_we_ask_the_provider() -> None:
    async with open_session() as session:
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert session.trust_env is False


def test_12_deadlines_have_the_values_of_the_specification() -> None:
    server = Server()
    assert (server.header_timeout, server.keepalive_timeout) == (10, 75)


def test_13_what_waits_unread_is_bounded() -> None:
    """``test_memory`` weighs it; this is the size of what aiohttp may keep of an upload."""
    assert BUFFER_LIMIT <= 2**16


def test_14_aiohttp_is_new_enough_and_has_its_parser() -> None:
    check_parser()
    numbers = tuple(map(int, re.findall(r"\d+", version("aiohttp"))[:3]))
    assert numbers >= (3, 14, 3)


@LANES
async def test_14_a_handshake_with_a_body_and_requests_without_end(lane: Lane) -> None:
    asks = b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n"
    async with Stage(lane) as stage:
        await stage.check_refused(asking(lines=asks, body=b"abc"))
        async with stage.line() as line:
            line.send(GOOD * 200)
            for _ in range(200):
                assert (await line.answer()).status == 200
