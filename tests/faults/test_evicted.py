"""F5: Redis has forgotten things. Who had them signs in again, in one round and without a word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.redis_servers import Server, single
from tests.faults.scene import Person, RealPlace, people, record_of, settings
from tests.web.place import Place, attempt_cookies

NOW = {"cache": 0}
"""Each request asks Redis."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with single(tmp_path) as server:
        yield server


@pytest.fixture
async def place(server: Server) -> AsyncIterator[Place]:
    async with RealPlace(**settings("redis", server.url, session=NOW)) as place:
        yield place


async def signs_in_plainly(person: Person) -> None:
    """401 for programs, one round through the provider for pages."""
    assert (await person.ask()).status == 401
    assert (await person.ask("/oauth2/auth")).status == 401
    assert (await person.browser.get("/deep")).status == 302
    assert (await person.sign_in(path="/deep")).location == "/deep"
    assert (await person.ask("/deep", page=True)).is_own


async def test_flushed(place: Place, server: Server) -> None:
    everybody = await people(place, 3)
    server.ask("FLUSHALL")
    for person in everybody:
        await signs_in_plainly(person)
    assert place.audited("error") == []


async def test_cookie_sessions_need_nothing_of_what_is_gone(server: Server) -> None:
    async with RealPlace(**settings("cookie", server.url, session=NOW)) as place:
        everybody = await people(place, 3)
        server.ask("FLUSHALL")
        for person in everybody:
            assert (await person.ask()).is_own
        page = await everybody[0].browser.get("/oauth2/sessions")
        assert page.status == 200
        assert (await everybody[0].browser.post("/oauth2/sign_out")).status == 303


async def test_a_full_redis_that_evicts(place: Place, server: Server) -> None:
    everybody = await people(place, 5)
    keys = [record_of(place, person.browser) for person in everybody]
    facts = server.ask("INFO", "memory").split("used_memory:")[1]
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.ask("CONFIG", "SET", "maxmemory", int(facts.split()[0]) + 200_000)
    number = 0
    while any(server.ask("EXISTS", key).strip() == "1" for key in keys):
        number += 1
        server.ask("DEBUG", "POPULATE", 300, f"junk{number}", 1000)
        server.ask("EVAL", _FILL, 0, number)
        assert number < 50
    for person in everybody:
        await signs_in_plainly(person)


_FILL = "for i=1,100 do redis.call('SET', 'more'..ARGV[1]..':'..i, string.rep('x', 1000)) end"


async def test_a_full_redis_that_does_not(place: Place, server: Server) -> None:
    """What is there is served; what cannot be kept is told to come again."""
    [person] = await people(place, 1)
    stranger = place.browser()
    url = await stranger.callback_url()
    server.ask("CONFIG", "SET", "maxmemory", 1000)
    assert (await person.ask()).is_own
    refused = await stranger.get(url)
    assert (refused.status, refused.set_cookies) == (503, [])
    server.ask("CONFIG", "SET", "maxmemory", 0)
    assert (await stranger.get(url)).status == 303
    assert (await person.ask()).is_own


async def test_an_attempts_mark_is_gone(place: Place, server: Server) -> None:
    """The provider takes no code twice: a page that leads to a new sign-in, and no loop."""
    browser = place.browser()
    url = await browser.callback_url("/deep")
    other = place.browser()
    other.cookies = dict(browser.cookies)
    assert (await browser.get(url)).status == 303
    server.ask("FLUSHALL")
    again = await other.get(url)
    assert 400 <= again.status < 500 or again.status == 502, again
    assert "/oauth2/start?rd=/deep" in again.text
    assert attempt_cookies(other.cookies) == []
    assert other.session is None
    assert (await other.sign_in("/deep")).location == "/deep"
    assert (await other.get("/deep")).status == 200
