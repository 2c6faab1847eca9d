"""One JWT for a session and audience, until half of its life is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.crypto.jwk import parse_jwks
from proxy.crypto.jwt import verify
from proxy.errors import ProxyError
from proxy.session.cards import session_tag
from proxy.web.mint import Mint
from tests.session.samples import session
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


async def test_one_for_a_call_of_our_own_is_short_lived(place: Place) -> None:
    parts, now = place.app.parts, place.clock()
    mint, keys = Mint(parts.runtime, lambda: "jti"), parse_jwks(await place.jwks())

    def claims(lifetime: float) -> Any:
        token = mint.alone(session(expires_at=now + lifetime), ("api",), now, 60)
        return verify(token, keys, ["ES256", "RS256"]).claims

    assert claims(3600)["exp"] == int(now) + 60
    assert claims(3600)["sid"] == session_tag(session().id)
    assert claims(30)["exp"] == int(now) + 30
    with pytest.raises(ProxyError, match="no_session"):
        claims(0)
