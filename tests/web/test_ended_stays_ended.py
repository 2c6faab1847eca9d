"""What was ended stays ended: ways that once led back to a session that was over, or left it be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.errors import Reason, StoreError
from proxy.session.endings import Ending, Scope
from proxy.web.sessions import _ENDED
from tests.session.shelf_basics import until
from tests.web.place import Browser, Place

STORES = ["cookie", "file"]
MINUTE = 60


@pytest.fixture(params=STORES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Sessions in the cookie or behind a ticket; what they share is in a file."""
    settings = {"store": request.param, "file": str(tmp_path / "shelf.db")}
    async with Place(session=settings) as place:
        yield place


def copied(place: Place, cookies: dict[str, str]) -> Browser:
    """Another browser with the same cookies."""
    browser = place.browser()
    browser.cookies = dict(cookies)
    return browser


async def status(place: Place, cookies: dict[str, str], port: int = 0) -> int:
    """What a program that has these cookies is answered."""
    return (await copied(place, cookies).get("/", page=False, port=port)).status


async def refused(place: Place, cookies: dict[str, str], port: int) -> None:
    """Wait for it, by the clock that hangs on the wall: the proxy's own stands still."""
    async with asyncio.timeout(5):
        while await status(place, cookies, port) != 401:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.01)


async def signed_in(place: Place) -> Browser:
    browser = place.browser()
    await browser.sign_in()
    answer = await browser.get("/", page=False)
    assert answer.status == 200, place.logged()
    return browser


async def test_however_many_others_end_after_it(place: Place) -> None:
    """The list of the ended lost the oldest one, and what was in hand lived again."""
    browser = await signed_in(place)
    kept = dict(browser.cookies)
    await browser.post("/oauth2/sign_out")
    now, hear = place.clock(), place.app.parts.sessions.hear
    for number in range(_ENDED + 1):
        hear(Ending(Scope.SESSION, f"other {number}", now + 1, now + 1).message())
    assert await status(place, kept) == 401
    for minutes in (1, 10, 60, 180):
        place.clock.advance(minutes * MINUTE)
        assert await status(place, kept) == 401


async def thief_was_first(place: Place, changes: int = 1) -> tuple[Browser, Browser]:
    """The owner and a thief, who alone has used the session while rights changed, until after
    the time in which the old cookie leads to the new one."""
    owner = await signed_in(place)
    thief = copied(place, owner.cookies)
    place.provider.behaviour.userinfo_change = lambda claims: (
        claims | {"groups": [f"novices since {place.clock()}"]}
    )
    for _ in range(changes):
        place.clock.advance(10 * MINUTE + 1)
        assert (await thief.get("/", page=False)).status == 200
    assert thief.session != owner.session
    place.clock.advance(20 * MINUTE + 1)
    return owner, thief


@pytest.fixture(params=STORES)
async def refreshing(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    session = {"store": request.param, "file": str(tmp_path / "shelf.db"), "refresh_every": "10m"}
    async with Place(session=session) as place:
        yield place


@pytest.mark.parametrize("changes", [1, 12])
async def test_a_sign_out_with_an_old_cookie_ends_the_newer_one(
    refreshing: Place, changes: int
) -> None:
    """The owner's ticket had no record any more: signing out said so, and ended nothing."""
    owner, thief = await thief_was_first(refreshing, changes)
    assert (await owner.post("/oauth2/sign_out")).status == 303
    assert await status(refreshing, thief.cookies) == 401
    await refreshing.start_proxy()
    assert await status(refreshing, thief.cookies) == 401


@pytest.mark.parametrize("changes", [1, 12])
async def test_who_comes_late_with_an_old_cookie_ends_the_session(
    refreshing: Place, changes: int
) -> None:
    """Two had one session, and whoever had the newer cookie went on without a trace."""
    owner, thief = await thief_was_first(refreshing, changes)
    assert await status(refreshing, owner.cookies) == 401
    assert await status(refreshing, thief.cookies) == 401
    await refreshing.start_proxy()
    assert await status(refreshing, thief.cookies) == 401


@pytest.mark.parametrize(
    ("store", "how"),
    [("cookie", "sign out"), ("file", "sign out"), ("cookie", "a spent refresh token")],
)
async def test_an_end_outlives_every_end_that_a_refresh_has_moved(
    tmp_path: Path, store: str, how: str
) -> None:
    """It was remembered until the end of the older cookie that it came by, not of the newest."""
    session = {"store": store, "file": str(tmp_path / "shelf.db"), "idle_timeout": "0"}
    async with Place(session=session | {"end_claim": "ends", "refresh_every": "5m"}) as place:
        place.provider.behaviour.userinfo_change = lambda claims: (
            claims | {"ends": place.clock() + 30 * MINUTE}
        )
        browser = await signed_in(place)
        first = dict(browser.cookies)
        for _ in range(4):
            place.clock.advance(5 * MINUTE + 1)
            assert (await browser.get("/", page=False)).status == 200
        newest = dict(browser.cookies)
        if how == "sign out":
            assert (await copied(place, first).post("/oauth2/sign_out")).status == 303
        else:
            assert await status(place, first) == 401
        assert await status(place, newest) == 401
        await place.start_proxy()  # which knows of it from the shelf only
        for minutes in (0, 5, 4, 2, 5):
            place.clock.advance(minutes * MINUTE)
            assert await status(place, newest) == 401


async def test_a_sign_out_that_fails_half_way_is_none_that_is_undone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept and heard of already, it was taken off the list again when what followed failed."""
    browser = await signed_in(place)
    first = dict(browser.cookies)
    place.clock.advance(25 * MINUTE)
    assert (await browser.get("/", page=False)).status == 200
    newest = dict(browser.cookies)
    sessions, shelf = place.app.parts.sessions, place.app.parts.keeping.shelf
    before = sessions.endings

    async def fail(*keys: str) -> None:
        await until(lambda: sessions.endings >= before + 2)  # marked, and heard of
        raise StoreError(Reason.STORE_UNAVAILABLE, "database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(shelf, "drop", fail)
        assert (await copied(place, first).post("/oauth2/sign_out")).status == 503
    for minutes in (0, 10, 12):
        place.clock.advance(minutes * MINUTE)
        assert await status(place, newest) == 401


async def test_a_sign_out_that_fails_before_anything_was_kept_can_be_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over at this process alone, nobody could end it for the others any more."""
    browser = await signed_in(place)
    kept = dict(browser.cookies)

    async def fail(*whatever: object) -> bool:
        raise StoreError(Reason.STORE_UNAVAILABLE, "database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(place.app.parts.keeping.shelf, "put", fail)
        assert (await copied(place, kept).post("/oauth2/sign_out")).status == 503
    assert await status(place, kept) == 200
    assert (await copied(place, kept).post("/oauth2/sign_out")).status == 303
    assert await status(place, kept) == 401
