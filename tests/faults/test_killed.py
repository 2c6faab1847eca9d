"""F1: Redis is killed. Nobody is let in, nobody is signed out, and soon all is as it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.redis_servers import Server, single
from tests.faults.scene import (
    BACK,
    CACHED,
    LASTING,
    SLACK,
    STORES,
    Crowd,
    RealPlace,
    figure,
    people,
    settings,
    within,
)
from tests.web.place import HOST, Place, attempt_cookies


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with single(tmp_path, *LASTING) as server:
        yield server


@pytest.fixture(params=STORES)
async def place(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Place]:
    """Two proxies."""
    async with RealPlace(**settings(request.param, server.url)) as place:
        await place.start_proxy()
        yield place


async def ready(place: Place) -> int:
    return (await place.browser().get("/ready")).status


async def privately_ready(place: Place) -> int:
    url = f"http://127.0.0.1:{place.app.private_port}/ready"
    async with place.http.get(url) as answer:
        return answer.status


async def test_503_for_everybody_and_nothing_is_lost(place: Place, server: Server) -> None:
    everybody = await people(place, 10)
    ports = [app.port for app in place.apps]
    async with Crowd(everybody, 200, ports) as crowd:
        await asyncio.sleep(0.3)
        server.kill()
        killed = time.monotonic()
        await asyncio.sleep(CACHED + SLACK)
        for path in ("/open/x", "/ping", "/oauth2/static/style.css"):
            assert (await everybody[0].ask(path)).status == 200, path
        assert await ready(place) == await privately_ready(place) == 503
        for path in ("/oauth2/auth", "/oauth2/userinfo", "/oauth2/sessions"):
            assert (await everybody[0].ask(path)).is_unavailable, path
        await asyncio.sleep(0.7)
        started = time.monotonic()
        server.start()
        there = time.monotonic()
        await asyncio.sleep(1.5)
        over = time.monotonic()
    for shot in crowd.shots:
        shot.check()
        assert shot.seconds < 1 + SLACK
    down = crowd.between(killed + CACHED + 0.1, started - 0.1)
    assert len(down) > 100
    assert {shot.status for shot in down} == {503}
    lost = [shot for shot in crowd.shots if shot.status == 503]
    after = [shot for shot in crowd.between(there, over) if shot.status == 200]
    back = max(shot.ended for shot in lost) - there
    figure("F1", slowest=max(shot.seconds for shot in down), back=back, answers=len(crowd.shots))
    assert back < BACK
    assert {shot.person.name for shot in after} == {person.name for person in everybody}
    assert await ready(place) == 200


async def test_a_stranger_is_sent_to_sign_in_as_ever(place: Place, server: Server) -> None:
    server.kill()
    stranger = place.browser()
    assert (await stranger.get("/")).status == 302
    assert (await place.browser().get("/", page=False)).status == 401


async def test_a_refused_sign_out_can_be_repeated(place: Place, server: Server) -> None:
    [person] = await people(place, 1, place.apps[0].port)
    first, second = (app.port for app in place.apps)
    assert (await person.ask(port=first)).is_own
    kept = dict(person.browser.cookies)
    server.kill()
    refused = await person.browser.post("/oauth2/sign_out", port=first)
    assert (refused.status, refused.set_cookies) == (503, [])
    server.start()
    person.browser.cookies = dict(kept)

    async def signed_out() -> bool:
        answer = await person.browser.post("/oauth2/sign_out", port=first)
        return answer.status == 303

    await within(BACK + SLACK, signed_out)
    assert person.browser.session is None
    person.browser.cookies = kept

    async def refused_everywhere() -> bool:
        return [(await person.ask(port=port)).status for port in (first, second)] == [401, 401]

    await within(CACHED + SLACK, refused_everywhere)


async def test_a_refused_callback_can_be_repeated(place: Place, server: Server) -> None:
    browser = place.browser()
    url = await browser.callback_url("/where")
    server.kill()
    refused = await browser.get(url)
    assert (refused.status, refused.set_cookies) == (503, [])
    assert refused.headers["Retry-After"]
    assert len(attempt_cookies(browser.cookies)) == 1
    server.start()

    async def done() -> bool:
        return (await browser.get(url)).location == "/where"

    await within(BACK + SLACK, done)
    assert (await browser.get("/where")).status == 200


async def test_what_is_under_way_goes_on(place: Place, server: Server) -> None:
    [person] = await people(place, 1)
    cookies = "; ".join(f"{name}={value}" for name, value in person.browser.cookies.items())
    headers = {"Host": HOST, "Cookie": cookies, "Origin": place.public}
    url = f"http://127.0.0.1:{place.port}"
    async with (
        place.http.get(f"{url}/sse", headers=headers) as stream,
        place.http.ws_connect(f"{url}/ws", headers=headers) as socket,
    ):

        async def talk(word: str) -> None:
            place.upstream.events.put_nowait(word)
            assert await stream.content.readuntil(b"\n\n") == f"data: {word}\n\n".encode()
            await socket.send_str(word)
            assert (await socket.receive(1)).data == word

        await talk("before")
        server.kill()
        for word in ("a", "b", "c"):
            await asyncio.sleep(0.5)
            await talk(word)
        assert (await person.ask()).is_unavailable
        server.start()

        async def back() -> bool:
            return (await person.ask()).is_own

        await within(BACK, back)
        await asyncio.sleep(0.7)  # what was missed has been asked for by now
        await talk("after")
        await person.browser.post("/oauth2/sign_out", port=place.apps[0].port)
        async with asyncio.timeout(1 + SLACK):
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            with pytest.raises(aiohttp.ClientPayloadError):
                await stream.content.read()


async def test_a_redis_that_was_never_there(tmp_path: Path) -> None:
    """The proxy starts, serves what needs no session, and works as soon as Redis does."""
    with single(tmp_path) as server:
        server.kill()
        async with RealPlace(**settings("redis", server.url)) as place:
            assert (await place.browser().get("/open/")).status == 200
            assert await ready(place) == 503
            browser = place.browser()
            url = await browser.callback_url()
            assert (await browser.get(url)).status == 503
            server.start()

            async def is_ready() -> bool:
                return await ready(place) == 200

            await within(BACK + SLACK, is_ready)
            await people(place, 1)
