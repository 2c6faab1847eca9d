"""What happened at another process counts here, even where nobody was told of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.errors import Reason, StoreError
from tests.session.shelf_basics import until
from tests.web.place import Place
from tests.web.test_ended_stays_ended import MINUTE, STORES, copied, refused, signed_in, status


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shelf.db"


@pytest.fixture(params=STORES)
async def place(request: pytest.FixtureRequest, file: Path) -> AsyncIterator[Place]:
    """Two proxies on one file, their sessions in the cookie or behind a ticket."""
    session = {"store": request.param, "file": str(file), "idle_timeout": "15m"}
    async with Place(session=session) as place:
        await place.start_proxy()
        yield place


@pytest.mark.parametrize("target", ["/", "/oauth2/auth"])
async def test_what_ended_and_was_told_to_nobody_is_not_forwarded(
    place: Place, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Writing its use down told that it was over, and the request was forwarded all the same."""
    first, second = (app.port for app in place.apps)
    browser = await signed_in(place)
    kept = dict(browser.cookies)
    assert await status(place, kept, first) == 200

    async def fail(message: bytes) -> None:
        raise StoreError(Reason.STORE_UNAVAILABLE, "database is locked")

    monkeypatch.setattr(place.apps[1].parts.keeping.shelf, "publish", fail)
    assert (await browser.post("/oauth2/sign_out", port=second)).status == 503
    forwarded = len(place.upstream.seen)
    place.clock.advance(2 * MINUTE)
    answer = await copied(place, kept).get(target, page=False, port=first)
    assert answer.status == 401
    assert len(place.upstream.seen) == forwarded
    page = await copied(place, kept).get("/", port=first)
    assert (page.status, len(place.upstream.seen)) == (302, forwarded)


@pytest.mark.parametrize("place", ["file"], indirect=True)
async def test_a_session_that_the_store_has_lost_is_not_forwarded(place: Place) -> None:
    """Its use could not be written down, and the request was forwarded all the same."""
    browser = await signed_in(place)
    kept = dict(browser.cookies)
    store, forwarded = place.app.parts.keeping.store, len(place.upstream.seen)
    await store.discard(store.handle(str(browser.session)))
    place.clock.advance(MINUTE + 1)
    page = await copied(place, kept).get("/")
    assert (page.status, page.location[:4]) == (302, "http")
    for minutes in (0, 2, 10):
        place.clock.advance(minutes * MINUTE)
        assert await status(place, kept) == 401
    assert len(place.upstream.seen) == forwarded


async def test_use_at_one_is_seen_at_the_other(place: Place) -> None:
    """The other took it for idle, from what it had in hand, and sent the person to sign in."""
    first, second = (app.port for app in place.apps)
    browser = await signed_in(place)
    kept = dict(browser.cookies)
    for port in (first, second):
        assert await status(place, kept, port) == 200
    for _ in range(16):
        place.clock.advance(MINUTE)
        assert (await browser.get("/", page=False, port=first)).status == 200
    answer = await browser.get("/", port=second)
    assert (answer.status, answer.set_cookies) == (200, [])
    assert (await browser.get("/", page=False, port=first)).status == 200


async def test_what_nobody_uses_is_over_at_both(place: Place) -> None:
    browser = await signed_in(place)
    kept = dict(browser.cookies)
    for app in place.apps:
        assert await status(place, kept, app.port) == 200
    place.clock.advance(15 * MINUTE)
    for app in place.apps:
        assert await status(place, kept, app.port) == 401


async def test_a_listener_that_fails_is_told_of_and_starts_again(place: Place, file: Path) -> None:
    """It was gone for good without a word, and each session in hand was trusted for ever."""
    first, second = (app.port for app in place.apps)
    people = [await signed_in(place) for _ in range(3)]
    for browser in people:
        assert await status(place, browser.cookies, first) == 200
    with closing(sqlite3.connect(file)) as news, news:
        news.execute("INSERT INTO news (message, until) VALUES ('no bytes', 9e9)")
    await until(lambda: len(faults(place)) == 2)
    for fault in faults(place):
        assert "TypeError" in fault["event"] or "AttributeError" in fault["event"]
    # Nobody hears anything now: they are asked about again, and soon.
    kept = dict(people[0].cookies)
    assert (await people[0].post("/oauth2/sign_out", port=second)).status == 303
    place.clock.advance(0.5)
    assert await status(place, kept, first) == 401
    # And then somebody listens again: it is known without asking.
    listening = [app.parts.sessions for app in place.apps]
    await until(lambda: all(sessions._is_listening for sessions in listening))
    for browser in people[1:]:
        kept = dict(browser.cookies)
        assert await status(place, kept, first) == 200
        assert (await browser.post("/oauth2/sign_out", port=second)).status == 303
        await refused(place, kept, first)
    assert len(faults(place)) == 2


def faults(place: Place) -> list[dict[str, str]]:
    lines = map(json.loads, place.logged().splitlines())
    return [line for line in lines if line["level"] == "error"]
