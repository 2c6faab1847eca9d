"""One JWT for a session and audience, until half of its life is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.web.place import Browser, Place

ROUTES = [
    {"path": "/other/*", "audience": ["other"]},
    {"path": "/both/*", "audience": ["api", "other"]},
    {"path": "/replace/*", "authorization": "replace"},
]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(routes=ROUTES) as place:
        yield place


async def jti(place: Place, browser: Browser, path: str = "/", audience: Any = "api") -> str:
    """The id of the JWT that a request brings to the upstream."""
    assert (await browser.get(path)).status == 200
    return str((await place.identity(audience=audience))["jti"])


async def test_a_jwt_is_made_once_for_each_audience(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    first = await jti(place, browser)
    assert await jti(place, browser, "/elsewhere") == first
    other = await jti(place, browser, "/other/x", "other")
    assert other != first
    assert await jti(place, browser, "/other/y", "other") == other
    assert await jti(place, browser, "/both/x", ["api", "other"]) not in (first, other)
    assert await jti(place, browser) == first


async def test_a_new_one_is_made_when_half_of_its_life_is_over(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    place.clock.advance(1439)
    await browser.get("/")
    first = await jti(place, browser)
    place.clock.advance(1)
    await browser.get("/")  # moves the idle limit, which renews the cookie
    second = await jti(place, browser)
    for _ in range(3):
        place.clock.advance(450)
        assert await jti(place, browser) in (first, second)
    place.clock.advance(451)
    assert await jti(place, browser) not in (first, second)


async def test_no_jwt_outlives_its_session(place: Place) -> None:
    async with Place(session={"lifetime": "30m", "idle_timeout": 0}) as place:
        browser = place.browser()
        await browser.sign_in()
        ends = place.clock() + 1800
        for _ in range(5):
            await browser.get("/")
            assert (await place.identity())["exp"] <= ends
            place.clock.advance(359)


async def test_people_never_share_a_jwt(place: Place) -> None:
    alice, bob = place.browser(), place.browser()
    await alice.sign_in("/", "alice")
    await bob.sign_in("/", "bob")
    assert await jti(place, alice) != await jti(place, bob)
    assert (await place.identity())["email"] == "bob@example.org"
    await alice.get("/")
    assert (await place.identity())["email"] == "alice@example.org"


async def test_replace_sends_the_same_jwt_as_the_bearer(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    await browser.get("/replace/x", headers={"Authorization": "Bearer stolen"})
    (token,) = place.upstream.header("X-Forwarded-Identity")
    assert place.upstream.header("Authorization") == [f"Bearer {token}"]
