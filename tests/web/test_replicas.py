"""Several proxies that share a shelf are one: whatever happens at one is true at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.redis_servers import single
from tests.web.place import HOST, Place

EVERY = {"refresh_every": "10m"}


@pytest.fixture(params=["cookie and file", "file", "cookie and redis", "redis"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Two proxies, their sessions in the cookie or behind a ticket, on a file or in Redis."""
    store, shared = request.param.split(" ")[0], request.param.split(" ")[-1]
    with ExitStack() as stack:
        settings: dict[str, Any] = {"session": {"store": store, **EVERY}}
        if shared == "redis":
            settings["redis"] = {"url": stack.enter_context(single(tmp_path)).url}
        else:
            settings["session"]["file"] = str(tmp_path / "shelf.db")
        async with Place(**settings) as place:
            await place.start_proxy()
            yield place


async def within(seconds: float, happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(seconds):
        while not await happened():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def test_a_session_begun_at_one_is_good_at_the_other(place: Place) -> None:
    first, second = (app.port for app in place.apps)
    browser = place.browser()
    await browser.sign_in()
    for port in (first, second):
        assert (await browser.get("/", port=port)).status == 200


async def test_a_sign_out_at_one_is_known_at_the_other_within_a_second(place: Place) -> None:
    first, second = (app.port for app in place.apps)
    browser = place.browser()
    await browser.sign_in()
    kept = dict(browser.cookies)
    for _ in range(3):
        assert (await browser.get("/", port=first)).status == 200
    await browser.post("/oauth2/sign_out", port=second)
    browser.cookies = kept

    async def refused() -> bool:
        browser.cookies = dict(kept)
        return (await browser.get("/", page=False, port=first)).status == 401

    await within(1.0, refused)


async def test_what_is_under_way_is_cut_within_a_second(place: Place) -> None:
    first, second = (app.port for app in place.apps)
    browser = place.browser()
    await browser.sign_in()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Host": HOST, "Cookie": cookies, "Origin": place.public}
    url = f"http://127.0.0.1:{first}"
    async with (
        place.http.get(f"{url}/sse", headers=headers) as stream,
        place.http.ws_connect(f"{url}/ws", headers=headers) as socket,
    ):
        place.upstream.events.put_nowait("1")
        assert await stream.content.readline() == b"data: 1\n"
        await browser.post("/oauth2/sign_out", port=second)
        async with asyncio.timeout(1.0):
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            with pytest.raises(aiohttp.ClientPayloadError):  # never a clean end
                await stream.content.read()
        await asyncio.wait_for(place.upstream.gone.wait(), 1)


async def test_a_stampede_asks_the_provider_once(place: Place) -> None:
    """F19: 200 requests at once at two proxies, a provider that takes its time."""
    ports = [app.port for app in place.apps]
    browser = place.browser()
    await browser.sign_in()
    old = dict(browser.cookies)
    place.clock.advance(600)
    place.provider.misbehave("token_hang")
    browsers = [place.browser() for _ in range(200)]
    for each in browsers:
        each.cookies = dict(old)
    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(each.get("/", page=False, port=ports[number % 2]))
            for number, each in enumerate(browsers)
        ]
        await asyncio.wait_for(place.provider.behaviour.reached.wait(), 5)
        assert place.upstream.seen == []
        place.provider.behave()
    assert {task.result().status for task in asking} == {200}
    assert place.provider.calls["token"] == 2
    # All have the same cookie now, and whoever missed it may come with the old one for a while.
    assert len({each.session for each in browsers}) == 1
    late = place.browser()
    late.cookies = dict(old)
    place.clock.advance(29)
    assert (await late.get("/", port=ports[0])).status == 200
    assert late.session == browsers[0].session
    assert place.provider.calls["token"] == 2


async def test_a_sign_in_attempt_is_good_once_for_all(place: Place) -> None:
    first, second = (app.port for app in place.apps)
    browser = place.browser()
    url = await browser.callback_url()
    other = place.browser()
    other.cookies = dict(browser.cookies)
    assert (await browser.get(url, port=first)).status == 303
    assert (await other.get(url, port=second)).status == 403
