"""What a worker has in common with others, or not, where it is alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.web.app import App
from proxy.web.crew import Crew
from proxy.web.news import News, Topic
from tests.process.served import cookie_header
from tests.web.place import HOST, PUBLIC, Place


def test_by_default_a_worker_is_alone_and_speaks() -> None:
    one, other = Crew(), Crew()
    one.tell(News(Topic.ENDED, "nobody listens", 0.0))
    one.metrics.logged_in()
    assert b"auth_proxy_logins_total 0.0" in other.metrics.render()
    assert one.speaks
    assert (one.relieves, one.past, one.made) == (False, (), None)


@asynccontextmanager
async def colleague(place: Place, crew: Crew) -> AsyncIterator[App]:
    """One more proxy on the place's settings."""
    async with App(place.settings(), place.app.parts.log, place.world, crew=crew) as app:
        yield app


async def test_the_end_of_a_session_is_told_and_heard() -> None:
    told: list[News] = []
    async with Place() as place, colleague(place, Crew(tell=told.append)) as app:
        browser = place.browser()
        await browser.sign_in()
        held = dict(browser.cookies)
        assert (await browser.post("/oauth2/sign_out", port=app.port)).status == 303
        (news,) = told
        assert news.topic is Topic.ENDED
        assert news.until == place.clock() + place.settings().session.lifetime
        copy = place.browser()
        copy.cookies = held
        assert (await copy.get("/")).status == 200, "not told yet"
        place.app.parts.hear(news)
        assert (await copy.get("/")).status == 302
        async with colleague(place, Crew(past=(news,))) as later:
            assert (await copy.get("/", port=later.port)).status == 302, "known from the start"


async def test_the_use_of_an_attempt_is_told_and_heard() -> None:
    told: list[News] = []
    async with Place() as place, colleague(place, Crew(tell=told.append)) as app:
        browser = place.browser()
        callback = await browser.callback_url()
        held = dict(browser.cookies)
        assert (await browser.get(callback, port=app.port)).status == 303
        (news,) = told
        assert (news.topic, news.until) == (Topic.USED, place.clock() + 600)
        place.app.parts.hear(news)
        copy = place.browser()
        copy.cookies = held
        assert (await copy.get(callback)).status == 403
        assert place.provider.calls["token"] == 1


async def test_one_worker_speaks_for_all() -> None:
    async with Place() as place, colleague(place, Crew(speaks=False)):
        assert len(place.audited("serving")) == 1


async def test_whoever_relieves_others_knows_the_provider_before_it_serves() -> None:
    async with Place() as place, colleague(place, Crew(relieves=True)) as app:
        assert (await place.browser().get("/ready", page=False, port=app.port)).status == 200


async def test_a_websocket_is_closed_when_another_worker_ends_its_session() -> None:
    async with Place() as place:
        here = place.app
        async with colleague(place, Crew(tell=here.parts.hear)) as app:
            browser = place.browser()
            await browser.sign_in()
            headers = {"Host": HOST, "Origin": PUBLIC, "Cookie": cookie_header(browser.cookies)}
            url = f"http://127.0.0.1:{here.port}/ws"
            async with place.http.ws_connect(url, headers=headers) as socket:
                await socket.send_str("still there?")
                assert (await socket.receive()).data == "still there?"
                await browser.post("/oauth2/sign_out", port=app.port)
                await asyncio.wait_for(socket.receive(), 5)
                assert socket.close_code == 1008
