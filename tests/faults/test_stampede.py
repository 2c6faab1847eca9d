"""F19: a session's tokens are due, and everybody comes at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.faulty_tcp import Fault
from tests.fakes.redis_servers import Server, free_ports, single
from tests.faults.replicas import Replicas
from tests.faults.scene import BACK, LASTING, SLACK, STORES, figure, settings, within
from tests.web.place import Browser, Place

HOW_MANY = 200
LATE = 0.2
"""Seconds that a request may wait longer than the provider takes."""
OFTEN = 4
"""Seconds between two refreshes, where time is real."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with single(tmp_path, *LASTING) as server:
        yield server


def crowd(place: Place, cookies: dict[str, str], count: int = HOW_MANY) -> list[Browser]:
    found = [place.browser() for _ in range(count)]
    for browser in found:
        browser.cookies = dict(cookies)
    return found


async def all_ask(browsers: list[Browser], ports: list[int]) -> tuple[list[int], list[float]]:
    """Statuses, and seconds of each."""

    async def ask(number: int, browser: Browser) -> tuple[int, float]:
        began = time.monotonic()
        answer = await browser.get("/", page=False, port=ports[number % len(ports)])
        return answer.status, time.monotonic() - began

    found = await asyncio.gather(*(ask(*each) for each in enumerate(browsers)))
    return [status for status, _ in found], [seconds for _, seconds in found]


async def usual(place: Place, cookies: dict[str, str], ports: list[int]) -> float:
    """Seconds that as many requests take here where nothing is due; twice, to be on the safe side:
    browsers, provider and upstream are in this process, and others use the machine as well."""
    statuses, seconds = await all_ask(crowd(place, cookies), ports)
    assert statuses == [200] * HOW_MANY
    return 2 * max(seconds) + SLACK


async def slow_provider(place: Place, seconds: float, calls: int) -> None:
    """Answers its next call for tokens that late; nobody else's may come meanwhile."""
    place.provider.misbehave("token_hang")
    await asyncio.wait_for(place.provider.behaviour.reached.wait(), 10)
    await asyncio.sleep(seconds)
    assert place.provider.calls["token"] == calls
    place.provider.behave()


def kept_tokens(place: Place) -> tuple[str, str]:
    """The refresh tokens of the last two calls."""
    asked = [
        r.fields.get("refresh_token") for r in place.provider.requests if r.endpoint == "token"
    ]
    first, second = asked[-2:]
    return str(first), str(second)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("replicas", [1, 2])
async def test_one_call_for_200_requests(server: Server, store: str, replicas: int) -> None:
    """The provider takes 5 s with two replicas: more than the lock lives unless renewed."""
    takes = 5.0 if replicas == 2 and store == "redis" else 1.0
    every = {"refresh_every": "10m"}
    async with Place(**settings(store, server.url, session=every)) as place:
        if replicas == 2:
            await place.start_proxy()
        ports = [app.port for app in place.apps]
        browser = place.browser()
        await browser.sign_in()
        old = dict(browser.cookies)
        longest = takes + LATE + await usual(place, old, ports)
        place.clock.advance(600)
        browsers = crowd(place, old)
        slow = asyncio.create_task(slow_provider(place, takes, 2))
        statuses, seconds = await all_ask(browsers, ports)
        await slow
        figure(f"F19 {store} {replicas}", takes=takes, most=max(seconds), bar=longest)
        assert statuses == [200] * HOW_MANY
        assert place.provider.calls["token"] == 2
        assert max(seconds) < longest
        assert len({each.session for each in browsers}) == 1
        assert (browsers[0].session != browser.session) == (store == "cookie")
        # The new refresh token is in use now; the provider would end all for the old one.
        late = crowd(place, old, 2)
        place.clock.advance(59)
        assert (await all_ask(late, ports))[0] == [200, 200]
        assert {each.session for each in late} == {browsers[0].session}
        assert place.provider.calls["token"] == 2
        place.clock.advance(600)
        again = crowd(place, dict(browsers[0].cookies), 20)
        assert (await all_ask(again, ports))[0] == [200] * 20
        assert place.provider.calls["token"] == 3
        first, second = kept_tokens(place)
        assert first != second


async def test_four_processes(tmp_path: Path, server: Server) -> None:
    """Two replicas with two workers each; their first and their second refresh."""
    given = settings("redis", server.url, session={"refresh_every": f"{OFTEN}s"})
    async with Replicas(tmp_path, free_ports(4), 2, 2, **given) as place:
        browser = place.browser()
        await browser.sign_in()
        due = time.monotonic() + OFTEN
        longest = 1.0 + LATE + await usual(place, browser.cookies, place.fronts)
        for count in (2, 3):
            await asyncio.sleep(due + 0.1 - time.monotonic())
            browsers = crowd(place, browser.cookies)
            due = time.monotonic() + OFTEN
            slow = asyncio.create_task(slow_provider(place, 1.0, count))
            statuses, seconds = await all_ask(browsers, place.fronts)
            await slow
            figure("F19 processes", most=max(seconds), bar=longest)
            assert statuses == [200] * HOW_MANY
            assert max(seconds) < longest
            assert place.provider.calls["token"] == count
            assert {each.session for each in browsers} == {browser.session}
            due += 0.5  # the refresh began a little later
        first, second = kept_tokens(place)
        assert first != second


async def test_the_holder_is_killed(tmp_path: Path, server: Server) -> None:
    """In mid-refresh, before the provider knew: the next one goes ahead within 5 s."""
    given = settings("redis", server.url, session={"refresh_every": "3s"})
    async with Replicas(tmp_path, free_ports(4), 2, 1, **given) as place:
        browser = place.browser()
        await browser.sign_in()
        await asyncio.sleep(3.1)
        place.way.fault = Fault.BLACK_HOLE
        held = asyncio.create_task(_held(place, browser))

        async def is_locked() -> bool:
            return "auth-proxy:lock:refresh:" in server.ask("--scan", "--pattern", "*:lock:*")

        await within(5, is_locked)
        others = crowd(place, browser.cookies, 20)
        waiting = asyncio.create_task(all_ask(others, [place.fronts[1]]))
        await asyncio.sleep(1.5)  # the lock has been renewed since
        assert not waiting.done()
        place.way.fault = Fault.PASS
        killed = time.monotonic()
        place.kill(0)
        statuses, _ = await waiting
        took = time.monotonic() - killed
        figure("F19 killed", took=took)
        assert statuses == [200] * 20
        assert took < 5
        assert place.provider.calls["token"] == 2
        await held


async def _held(place: Place, browser: Browser) -> None:
    """Ask, and see it fail."""
    with pytest.raises(aiohttp.ClientConnectionError):
        await browser.get("/", page=False)


@pytest.mark.parametrize("store", STORES)
async def test_redis_dies_before_the_new_tokens_are_kept(server: Server, store: str) -> None:
    """Nobody waits for it longer than Redis may take; and the rotated token is not lost."""
    every = {"refresh_every": "10m"}
    async with Place(**settings(store, server.url, session=every)) as place:
        await place.start_proxy()
        ports = [app.port for app in place.apps]
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(600)
        place.provider.misbehave("token_hang")
        browsers = crowd(place, browser.cookies, 20)
        asking = asyncio.create_task(all_ask(browsers, ports))
        await asyncio.wait_for(place.provider.behaviour.reached.wait(), 10)
        server.kill()
        place.provider.behave()
        statuses, seconds = await asking
        figure("F19 Redis died", most=max(seconds))
        assert statuses == [503] * 20
        assert {each.session for each in browsers} == {browser.session}
        assert (await browser.get("/", page=False, port=ports[0])).status == 503
        await asyncio.sleep(0.5)
        server.start()

        async def back() -> bool:
            return (await all_ask(crowd(place, browser.cookies, 2), ports))[0] == [200, 200]

        await within(BACK + SLACK + 4, back)
        assert place.provider.calls["token"] == 2
        assert (await browser.get("/", port=ports[1])).status == 200
        place.clock.advance(600)
        assert (await browser.get("/", port=ports[1])).status == 200
        first, second = kept_tokens(place)
        assert first != second
