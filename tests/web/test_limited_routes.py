"""Limits in a whole place: refused in the answer, and given back however a request ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.session.shelf_basics import until
from tests.web.lanes import Lanes
from tests.web.place import Answer, Browser, Place

RATE = [{"requests": 3}]
PLACES = [{"concurrent": 1}]


def limited(limits: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"routes": [{"path": "/*", "limits": limits, **more}]}


async def answers(browser: Browser, path: str, times: int) -> list[Answer]:
    return [await browser.get(path, page=False) for _ in range(times)]


async def test_beyond_the_limit_is_429_with_the_time_to_wait() -> None:
    async with Place(**limited(RATE)) as place:
        place.clock.advance(45 - place.clock() % 60)
        browser = place.browser()
        await browser.sign_in()
        *good, refused = await answers(browser, "/api", 4)
        assert [answer.status for answer in good] == [200] * 3
        assert (refused.status, refused.headers["Retry-After"]) == (429, "15")
        assert "too_many_requests" in refused.text
        page = await browser.get("/api")
        assert (page.status, page.headers["Retry-After"]) == (429, "15")
        assert "text/html" in page.headers["Content-Type"]
        again = place.browser()
        await again.sign_in()  # the same person, by another session
        assert (await again.get("/api", page=False)).status == 429
        other = place.browser()
        await other.sign_in(user="bob")
        assert (await other.get("/api", page=False)).status == 200
        place.clock.advance(15)
        assert (await browser.get("/api", page=False)).status == 200
        [count] = place.audited("limit: 3 requests in 60 s per person")[:1]
        assert count["reason"] == "too_many_requests"


async def test_two_proxies_on_one_file_count_together(tmp_path: Any) -> None:
    file: dict[str, Any] = {"session": {"file": str(tmp_path / "shelf.db")}}
    async with Place(**limited([{"requests": 10, "per": "route"}]), **file) as place:
        await place.start_proxy()
        browser = place.browser()
        await browser.sign_in()
        found = await asyncio.gather(
            *(browser.get("/api", page=False, port=place.apps[n % 2].port) for n in range(24))
        )
        assert sorted(answer.status for answer in found) == [200] * 10 + [429] * 14


async def test_limited_routes_are_the_slow_lanes() -> None:
    async with Place(routes=[{"path": "/limited", "limits": RATE}]) as place:
        lanes, browser = Lanes(place), place.browser()
        await browser.sign_in()
        await answers(browser, "/limited", 3)
        await answers(browser, "/free", 3)
        assert lanes.taken[-6:-3] == [False] * 3
        assert lanes.taken[-1]


async def test_an_answer_under_way_has_its_place_until_it_ends() -> None:
    async with Place(**limited(PLACES)) as place:
        browser = place.browser()
        await browser.sign_in()
        first = asyncio.create_task(browser.get("/hold", page=False))
        async with asyncio.timeout(5):
            await place.upstream.arrived.wait()
        assert (await browser.get("/api", page=False)).status == 429
        place.upstream.release.set()
        assert (await first).status == 200
        found = await answers(browser, "/api", 20)  # one after the other
        assert [answer.status for answer in found] == [200] * 20


async def test_a_client_that_vanishes_gives_its_place_back() -> None:
    async with Place(**limited(PLACES)) as place:
        browser = place.browser()
        await browser.sign_in()
        gone = asyncio.create_task(browser.get("/hold", page=False))
        async with asyncio.timeout(5):
            await place.upstream.arrived.wait()
        gone.cancel()
        await asyncio.wait([gone])
        limits = place.app.parts.programs.limits
        await until(lambda: not limits._held)
        assert (await browser.get("/api", page=False)).status == 200


@pytest.mark.parametrize("access", ["public", "optional"])
async def test_nobody_is_counted_by_address(access: str) -> None:
    limits = [{"requests": 2, "per": "address" if access == "public" else "person"}]
    async with Place(**limited(limits, access=access)) as place:
        found = await answers(place.browser(), "/api", 3)
        assert [answer.status for answer in found] == [200, 200, 429]


async def test_what_is_refused_before_is_not_counted() -> None:
    async with Place(**limited([{"requests": 1, "per": "address"}])) as place:
        found = await answers(place.browser(), "/api", 3)
        assert [answer.status for answer in found] == [401] * 3
        browser = place.browser()
        await browser.sign_in()
        assert (await browser.get("/api", page=False)).status == 200


async def test_a_websocket_has_its_place_while_it_is_open() -> None:
    async with Place(**limited(PLACES, access="public")) as place:
        url = f"http://127.0.0.1:{place.port}/ws"
        given = {"Host": place.host, "Origin": place.public}
        async with place.http.ws_connect(url, headers=given) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str(timeout=5) == "hello"
            assert (await place.browser().get("/api", page=False)).status == 429
        await until(lambda: not place.app.parts.programs.limits._held)
        assert (await place.browser().get("/api", page=False)).status == 200
