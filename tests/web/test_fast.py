"""The fast lane: what it takes, what it leaves to the slow one, and what it hands on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from proxy.web.fast import Lines
from tests.fakes.scripted import (
    request,
    until,
    upstream,
)
from tests.web.lanes import AUTH, SESSION, Lanes, Scene, acting, cookies
from tests.web.place import HOST, Place
from tests.wire.stage import OK, eventually


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with acting() as scene:
        yield scene


# What it takes


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        pytest.param("/a?b=c", {}, 200, id="a session"),
        pytest.param("/a", {"method": "POST", "data": b"body"}, 200, id="a body in hand"),
        pytest.param("/a", {"method": "DELETE"}, 200, id="another method"),
        pytest.param("/admin/a", {}, 200, id="a rule that lets in"),
        pytest.param("/open/a", {}, 200, id="public, with a session"),
        pytest.param("/open/a", {"headers": {"Cookie": "x=y"}}, 200, id="public, with none"),
        pytest.param("/maybe/a", {}, 200, id="optional, with a session"),
        pytest.param("/maybe/a", {"headers": {"Cookie": "x=y"}}, 200, id="optional, with none"),
        pytest.param(AUTH, {}, 202, id="forward-auth"),
        pytest.param(AUTH + "?allowed_groups=admins", {}, 202, id="forward-auth, narrower"),
    ],
)
async def test_what_it_takes(scene: Scene, path: str, options: dict[str, Any], status: int) -> None:
    for _ in range(3):
        assert await scene.ask(path, **options) == (True, status)


async def test_what_was_taken_is_told_and_counted_like_the_rest(scene: Scene) -> None:
    before = len(scene.place.audited("access"))
    assert await scene.ask("/told?secret=x") == (True, 200)
    assert await scene.ask(AUTH) == (True, 202)
    first, second = scene.place.audited("access")[before:]
    assert (first["path"], first["status"], first["sub"]) == ("/told", 200, "alice-5f0c3b1e")
    assert (second["path"], second["status"], second["sub"]) == (AUTH, 202, "alice-5f0c3b1e")
    assert first["request_id"] == scene.place.upstream.header("X-Request-Id")[0]
    assert not scene.place.app.parts.ledger.running


# What it declines


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        pytest.param("/a", {"headers": {"Cookie": ""}}, 401, id="nobody"),
        pytest.param("/a", {"headers": {"Cookie": f"{SESSION}=x"}}, 401, id="a bad cookie"),
        pytest.param("/maybe/a", {"headers": {"Cookie": f"{SESSION}=x"}}, 200,
                     id="a bad cookie on an optional route"),
        pytest.param("/maybe/a", {"headers": {"Cookie": f"{SESSION}_bounces=x"}}, 200,
                     id="a cookie of ours on an optional route"),
        pytest.param("/a", {"method": "POST", "data": b"x", "headers": {"Expect": "tea"}}, 417,
                     id="an expectation"),
        pytest.param("/ping", {}, 200, id="an endpoint of ours"),
        pytest.param("/oauth2/userinfo", {}, 200, id="userinfo"),
        pytest.param("/oauth2/nothing", {}, 404, id="below our prefix"),
        pytest.param(AUTH, {"method": "POST"}, 202, id="forward-auth by POST"),
        pytest.param(AUTH, {"method": "HEAD"}, 202, id="forward-auth by HEAD"),
        pytest.param(AUTH, {"data": b"body"}, 202, id="forward-auth with a body"),
        pytest.param(AUTH, {"headers": {"Cookie": ""}}, 401, id="forward-auth for nobody"),
        pytest.param(AUTH + "?allowed_groups=none", {}, 403, id="forward-auth, denied"),
        pytest.param(AUTH + "?allowed_group=admins", {}, 400, id="forward-auth, misspelt"),
        pytest.param("/a", {"headers": {"Host": "evil.example"}}, 421, id="another's name"),
        pytest.param("/a//b", {}, 400, id="an odd path"),
        pytest.param("/open/a;b", {}, 400, id="path parameters on a public route"),
        pytest.param("/a", {"method": "TRACE"}, 405, id="TRACE"),
        pytest.param("/keys/a", {"headers": {"Cookie": "", "Authorization": "Bearer sk-1"}}, 200,
                     id="a key that passes through"),
    ],
)  # fmt: skip
async def test_what_it_declines(
    scene: Scene, path: str, options: dict[str, Any], status: int
) -> None:
    for _ in range(3):
        assert await scene.ask(path, **options) == (False, status)


async def test_it_declines_two_sessions_at_once(scene: Scene) -> None:
    other = scene.place.browser()
    await other.sign_in("/", "bob")
    twice = cookies(scene, f"{SESSION}={other.session}")
    for _ in range(2):
        assert await scene.ask("/a", headers=twice) == (False, 401)


async def test_it_declines_while_a_sign_in_is_remembered(scene: Scene) -> None:
    headers = cookies(scene, f"{SESSION}_bounces=x")
    for path, status in (("/a", 200), ("/maybe/a", 200), (AUTH, 202)):
        assert await scene.ask(path, headers=headers) == (False, status)


async def test_it_declines_whom_a_rule_denies(scene: Scene) -> None:
    bob = scene.place.browser()
    await bob.sign_in("/", "bob")
    for _ in range(3):
        await bob.get("/warm", page=False)
    assert await scene.ask("/a", browser=bob) == (True, 200)
    assert await scene.ask("/admin/a", browser=bob) == (False, 403)
    assert await scene.ask("/admin/a") == (True, 200)


@pytest.mark.parametrize("path", ["/a", AUTH])
async def test_it_declines_a_session_that_has_ended(scene: Scene, path: str) -> None:
    kept = cookies(scene)
    for _ in range(3):
        assert (await scene.ask(path, headers=kept))[0]
    await scene.browser.post("/oauth2/sign_out")
    for _ in range(2):
        assert await scene.ask(path, headers=kept) == (False, 401)


@pytest.mark.parametrize("path", ["/a", AUTH])
async def test_it_declines_when_the_idle_limit_is_to_be_moved(scene: Scene, path: str) -> None:
    for _ in range(3):
        assert (await scene.ask(path))[0]
    scene.place.clock.advance(0.4 * 3600 - 1)
    assert (await scene.ask(path))[0]
    scene.place.clock.advance(1)
    old = scene.browser.session
    assert (await scene.ask(path))[0] is False
    assert scene.browser.session != old
    await scene.ask(path)
    assert (await scene.ask(path))[0]


@pytest.mark.parametrize("path", ["/a", AUTH])
async def test_it_declines_a_session_that_is_over(path: str) -> None:
    async with acting(session={"idle_timeout": 0, "lifetime": "1h"}) as scene:
        kept = cookies(scene)
        scene.place.clock.advance(3599)
        for _ in range(2):
            assert (await scene.ask(path, headers=kept))[0]
        scene.place.clock.advance(1)
        assert await scene.ask(path, headers=kept) == (False, 401)


@pytest.mark.parametrize("path", ["/a", AUTH])
async def test_it_declines_a_session_that_is_due_for_a_refresh(path: str) -> None:
    async with acting(session={"refresh_every": "10m", "idle_timeout": 0}) as scene:
        kept = cookies(scene)
        for _ in range(2):
            assert (await scene.ask(path, headers=kept))[0]
        scene.place.clock.advance(600)
        took, _ = await scene.ask(path, headers=kept)
        assert not took
        # The older cookie stands for the newer session: the browser is to get that one.
        took, _ = await scene.ask(path, headers=kept)
        assert not took


async def test_it_declines_when_no_connection_is_at_hand() -> None:
    let = asyncio.Event()
    async with upstream([request, until(let), OK], [request, OK]) as scripted:
        route = {"path": "/open/*", "access": "public", "upstream": scripted.url}
        async with Place(routes=[route]) as place:
            lanes, slow, quick = Lanes(place), place.browser(), place.browser()
            waiting = asyncio.create_task(slow.get("/open/a", page=False))
            async with asyncio.timeout(5):
                await eventually(lambda: scripted.peers)
            assert (await quick.get("/open/a", page=False)).status == 200
            let.set()
            assert (await waiting).status == 200
            assert lanes.taken == [False, False]


async def test_it_declines_a_body_beyond_the_limit() -> None:
    async with acting(server={"max_body_size": 10}) as scene:
        assert await scene.ask("/a", method="POST", data=b"x" * 10) == (True, 200)
        assert await scene.ask("/a", method="POST", data=b"x" * 11) == (False, 413)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("Connection: Upgrade\r\nUpgrade: websocket\r\n", id="websocket"),
        pytest.param("Connection: Upgrade\r\nUpgrade: h2c\r\n", id="h2c"),
    ],
)
async def test_it_declines_upgrades(scene: Scene, lines: str) -> None:
    head = f"GET /open/a HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"
    before = len(scene.lanes.taken)
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.place.port)
    writer.write(head.encode())
    async with asyncio.timeout(5):
        await reader.readuntil(b"\r\n")
    writer.transport.abort()
    assert scene.lanes.taken[before:] == [False]


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        pytest.param("Content-Length: 4", b"body", id="length"),
        pytest.param("Transfer-Encoding: chunked", b"4\r\nbody\r\n0\r\n\r\n", id="chunks"),
    ],
)
async def test_it_is_not_asked_about_a_body_that_is_still_to_come(
    scene: Scene, lines: str, body: bytes
) -> None:
    head = f"POST /open/a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{lines}\r\n\r\n"
    before, seen = len(scene.lanes.taken), len(scene.place.upstream.seen)
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.place.port)
    writer.write(head.encode())
    async with asyncio.timeout(5):
        await eventually(lambda: scene.place.app.parts.ledger.running)
        writer.write(body)
        answer = await reader.read()
    writer.transport.abort()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert scene.lanes.taken[before:] == []
    assert len(scene.place.upstream.seen) == seen + 1


async def test_forward_auth_for_http_1_0_is_left_to_the_slow_lane(scene: Scene) -> None:
    cookie = f"Cookie: {SESSION}={scene.browser.session}"
    before = len(scene.lanes.taken)
    for connection in ("close", "keep-alive"):
        lines = f"{cookie}\r\nConnection: {connection}\r\n"
        head = f"GET {AUTH} HTTP/1.0\r\nHost: {HOST}\r\n{lines}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.place.port)
        writer.write(head.encode())
        async with asyncio.timeout(5):
            assert b" 202 " in await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
    assert scene.lanes.taken[before:] == [False, False]


async def test_what_is_known_of_a_request_is_known_of_its_address_only(scene: Scene) -> None:
    """Two hops may send the very same bytes for different people."""
    for _ in range(3):
        await scene.ask("/open/a")
    reader = scene.place.app._fronts[False].reader
    known = [found for found in reader._requests.values() if found.target == "/open/a"]
    assert known
    for found in known:
        found.memo = replace(found.memo, peer="192.0.2.1", is_auth=True)  # type: ignore[type-var]
    assert await scene.ask("/open/a") == (True, 200)
    assert scene.place.upstream.header("X-Forwarded-For") == ["127.0.0.1"]


async def test_of_strangers_cookies_nothing_is_kept() -> None:
    """Thousands of tiny ones in each of many heads took 200 MiB, without anybody signed in."""
    async with acting() as scene:
        head = f"GET /x HTTP/1.1\r\nHost: {HOST}\r\nCookie: {'a=;' * 900}\r\n"
        answer = await scene.raw(
            f"{head}Accept: */*\r\n\r\n{head}Connection: close\r\n\r\n".encode()
        )
        assert answer.count(b" 401 ") == 2
        reader = scene.place.app._fronts[False].reader
        kept = [block.memo for block in reader._known.values() if block.memo is not None]
        assert any(isinstance(lines, Lines) for lines in kept)
        assert all(isinstance(lines, Lines) and len(lines.ours) < 9 for lines in kept)
