"""The life of sessions with a Redis: how long, how many, and that all know of their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.redis_servers import Server, single
from tests.faults.scene import STORES, Person, figure, people, record_of, settings, within
from tests.web.place import Place

HOUR = 3600
WITHIN = 1.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with single(tmp_path) as server:
        yield server


@asynccontextmanager
async def replicas(server: Server, store: str, **session: Any) -> AsyncIterator[Place]:
    """Two proxies, by a clock that stands still: what they learn, they were told."""
    async with Place(**settings(store, server.url, session=session)) as place:
        await place.start_proxy()
        yield place


async def one(place: Place) -> Person:
    [person] = await people(place, 1)
    return person


async def take(person: Person, path: str = "/") -> int:
    """Use it as a browser does, new cookies included."""
    return (await person.browser.get(path, page=False)).status


def life(server: Server, place: Place, person: Person) -> float:
    """Seconds that Redis will still have the record."""
    return int(server.ask("PTTL", record_of(place, person.browser))) / 1000


@pytest.mark.parametrize("store", STORES)
async def test_use_never_passes_the_absolute_end(server: Server, store: str) -> None:
    async with replicas(server, store, lifetime="2h", idle_timeout="1h") as place:
        person = await one(place)
        for _ in range(3):
            place.clock.advance(2300)
            assert await take(person) == 200
        if store == "redis":
            assert life(server, place, person) <= 2 * HOUR - 3 * 2300 + 1
        place.clock.advance(299)
        assert await take(person) == 200
        place.clock.advance(2)
        assert await take(person) == 401
        assert (await person.browser.get("/")).status == 302


@pytest.mark.parametrize("store", STORES)
async def test_nobody_uses_it(server: Server, store: str) -> None:
    async with replicas(server, store, lifetime="12h", idle_timeout="1h") as place:
        person, other = await people(place, 2)
        for _ in range(4):
            place.clock.advance(HOUR - 500)
            assert await take(person) == 200
            if store == "redis":
                assert HOUR - 60 < life(server, place, person) <= HOUR
        assert await take(other) == 401
        place.clock.advance(HOUR + 1)
        assert await take(person) == 401


@pytest.mark.parametrize("store", STORES)
async def test_the_provider_declares_the_end(server: Server, store: str) -> None:
    async with replicas(server, store, end_claim="ends", refresh_every="10m") as place:
        end = place.clock() + 1000
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"ends": end}
        person = await one(place)
        if store == "redis":
            assert life(server, place, person) <= 1000
        place.clock.advance(601)
        end -= 200  # and it may still change its mind
        assert await take(person) == 200
        place.clock.advance(198)
        assert await take(person) == 200
        place.clock.advance(2)
        assert await take(person) == 401


@pytest.mark.parametrize("store", STORES)
async def test_the_oldest_ends_for_one_more(server: Server, store: str) -> None:
    async with replicas(server, store, max_per_person=3) as place:
        first, second = (app.port for app in place.apps)
        found: list[Person] = []
        for number in range(4):
            place.clock.advance(1)
            mine = Person(place.browser(), "alice", "alice-5f0c3b1e")
            await mine.sign_in(second if number == 3 else first)
            if number < 3:
                assert (await mine.ask(port=first)).is_own
            found.append(mine)

        async def the_oldest_is_over() -> bool:
            return (await found[0].ask(port=first)).status == 401

        took = await within(WITHIN, the_oldest_is_over)
        figure("oldest ends", took=took)
        for person in found[1:]:
            for port in (first, second):
                assert (await person.ask(port=port)).is_own


@pytest.mark.parametrize("store", STORES)
async def test_other_groups_are_another_cookie(server: Server, store: str) -> None:
    """A privilege that changes renews what the browser holds; the old is good for the grace."""
    async with replicas(server, store, refresh_every="10m") as place:
        first, second = (app.port for app in place.apps)
        person = await one(place)
        old = dict(person.browser.cookies)
        place.clock.advance(600)
        change = {"groups": ["novices"]}
        place.provider.behaviour.userinfo_change = lambda claims: claims | change
        assert (await person.browser.get("/", page=False, port=first)).status == 200
        assert place.upstream.header("X-Forwarded-Groups") == ["novices"]
        new = dict(person.browser.cookies)
        assert new["__Host-auth_proxy"] != old["__Host-auth_proxy"]
        late = replace(person, browser=place.browser())
        for port in (first, second):
            late.browser.cookies = dict(old)
            assert (await late.browser.get("/", page=False, port=port)).status == 200
            assert place.upstream.header("X-Forwarded-Groups") == ["novices"]
            assert late.browser.session == new["__Host-auth_proxy"]
        assert place.provider.calls["token"] == 2
        # The next refresh changes nothing: a ticket stays, after which the old one is forgotten.
        place.clock.advance(1200 + 1)
        assert (await person.browser.get("/", page=False, port=first)).status == 200
        if store == "redis":
            assert person.browser.session == new["__Host-auth_proxy"]
            key = record_of(place, late.browser)
            assert server.ask("EXISTS", key).strip() == "1"
        # Its end ends both.
        assert (await person.browser.post("/oauth2/sign_out", port=second)).status == 303
        for cookies in (old, new):
            late.browser.cookies = dict(cookies)

            async def over() -> bool:
                return {(await late.ask(port=port)).status for port in (first, second)} == {401}

            await within(WITHIN, over)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("by", ["sid", "sub"])
async def test_the_providers_word_reaches_all_replicas(server: Server, store: str, by: str) -> None:
    async with replicas(server, store) as place:
        first, second = (app.port for app in place.apps)
        person, other = await people(place, 2)
        for each in (person, other):
            for port in (first, second):
                assert (await each.ask(port=port)).is_own
        [sid] = [
            entry.value.sid
            for entry in place.provider.provider.grants.sign_ins._entries.values()
            if entry.value.user.username == person.name
        ]
        named = (sid, None) if by == "sid" else (None, person.sub)
        token = place.provider.logout_token(sid=named[0], sub=named[1])
        answer = await place.browser().post(
            "/oauth2/backchannel_logout",
            page=False,
            headers=FORM,
            data=f"logout_token={token}",
            port=second,
        )
        assert answer.status == 200, answer

        async def over() -> bool:
            return {(await person.ask(port=port)).status for port in (first, second)} == {401}

        took = await within(WITHIN, over)
        figure("back-channel", took=took)
        assert (await other.ask(port=first)).is_own
