"""What is under way while a session ends must not bring it back (time of check, time of use)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re

import aiohttp
import pytest

from tests.fakes.scripted import Peer, Step, request, setting, until, upstream
from tests.web.place import HOST, PUBLIC, Browser, Place

SESSION = "__Host-auth_proxy="


def cookie(browser: Browser) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items())}


async def test_a_late_answer_brings_no_session_back_after_the_sign_out() -> None:
    async with Place() as place:
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(3600)
        slow = asyncio.create_task(place.browser().get("/hold", headers=cookie(browser)))
        await asyncio.wait_for(place.upstream.arrived.wait(), 5)
        await browser.post("/oauth2/sign_out")
        place.upstream.release.set()
        late = await slow
        assert late.status == 200
        assert not [line for line in late.set_cookies if line.startswith(SESSION)]


async def test_a_late_answer_does_not_replace_a_newer_sign_in() -> None:
    async with Place() as place:
        browser = place.browser()
        await browser.sign_in("/", "alice")
        place.clock.advance(3600)
        slow = asyncio.create_task(place.browser().get("/hold", headers=cookie(browser)))
        await asyncio.wait_for(place.upstream.arrived.wait(), 5)
        place.provider.forget()
        start = await browser.get("/oauth2/start")
        await browser.get(await place.provider.sign_in(start.location, "bob"))
        place.upstream.release.set()
        assert not [line for line in (await slow).set_cookies if line.startswith(SESSION)]
        assert b"bob@example.org" in (await browser.get("/oauth2/userinfo", page=False)).body


async def test_a_refresh_under_way_does_not_outlive_the_sign_out() -> None:
    async with Place(session={"refresh_every": "10m"}) as place:
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(600)
        place.provider.misbehave("token_hang")
        waiting = asyncio.create_task(
            place.browser().get("/secret", page=False, headers=cookie(browser))
        )
        await asyncio.wait_for(place.provider.behaviour.reached.wait(), 5)
        await browser.post("/oauth2/sign_out")
        place.provider.behave()
        answer = await waiting
        assert answer.status == 401
        assert not [c for c in answer.set_cookies if c.startswith(SESSION) and "Max-Age=0" not in c]
        assert place.upstream.seen == []


async def switch(peer: Peer) -> None:
    """Agree to a WebSocket (RFC 6455 section 4.2.2)."""
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", bytes(peer.received))
    assert key
    digest = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    await peer.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


async def test_a_websocket_whose_handshake_was_under_way_is_closed() -> None:
    asked, release = asyncio.Event(), asyncio.Event()
    script: list[Step] = [request, setting(asked), until(release), switch]
    async with (
        upstream(script) as scripted,
        Place(routes=[{"path": "/*", "upstream": scripted.url}]) as place,
        asyncio.timeout(10),
    ):
        browser = place.browser()
        await browser.sign_in()
        headers = {"Host": HOST, "Origin": PUBLIC, **cookie(browser)}
        url = f"http://127.0.0.1:{place.port}/ws"
        opening = asyncio.create_task(place.http.ws_connect(url, headers=headers))
        await asked.wait()
        await browser.post("/oauth2/sign_out")
        release.set()
        socket = await opening
        ended = await socket.receive()
        assert (ended.type, ended.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        await socket.close()


async def test_a_planted_cookie_does_not_keep_a_session_from_ending() -> None:
    async with Place() as place:
        mine, planted = place.browser(), place.browser()
        await mine.sign_in("/", "alice")
        await planted.sign_in("/", "bob")
        both = {"Cookie": f"{SESSION}{mine.session}; {SESSION}{planted.session}"}
        await place.browser().post("/oauth2/sign_out", headers=both)
        assert (await mine.get("/")).status == 302
        assert (await planted.get("/")).status == 302


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": "max-age=3600"},
        {"Expires": "Fri, 01 Jan 2038 00:00:00 GMT"},
        {"CDN-Cache-Control": "max-age=9"},
        {"Cache-Control": "public"},
        {"Last-Modified": "Fri, 01 Jan 2021 00:00:00 GMT"},
    ],
    ids=str,
)
async def test_a_response_that_may_be_shared_carries_no_session(headers: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + lines + b"\r\nok"
    private = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: private\r\n\r\nok"
    async with (
        upstream([request, said, request, private]) as scripted,
        Place(routes=[{"path": "/*", "upstream": scripted.url}]) as place,
    ):
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(3600)
        first = await browser.get("/a")
        assert first.status == 200
        assert first.set_cookies == []
        second = await browser.get("/b")
        assert [c for c in second.set_cookies if c.startswith(SESSION)]
