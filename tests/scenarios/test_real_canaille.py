"""The full cycle at PyPI's Canaille, made with Authlib: its habits, and how we are to meet them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.providers.canaille import (
    Canaille,
    CanailleClient,
    canaille,
    next_second,
    sign_in,
    sign_out,
)
from tests.providers.program import free_port
from tests.scenarios.real import Scene, asked, real_scene

CLIENT_SECRET = "the-tests-secret-of-the-proxy-client"
REFRESHED = {"session": {"refresh_every": "1m"}}


@dataclass(frozen=True, slots=True)
class Place:
    """The provider, and where the proxy is registered to be."""

    provider: Canaille
    url: str


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    url = f"http://127.0.0.1:{free_port()}"
    clients = (
        CanailleClient("proxy", CLIENT_SECRET, url),
        CanailleClient("without-audience", CLIENT_SECRET, url, audience=False),
        CanailleClient("rs512", CLIENT_SECRET, url, algorithm=""),
    )
    with canaille(clients) as provider:
        yield Place(provider, url)


@asynccontextmanager
async def scene(
    place: Place, settings: dict[str, Any] | None = None, **changes: Any
) -> AsyncIterator[Scene[Canaille]]:
    """``changes`` are to our settings about the provider."""
    told = {
        "issuer_url": place.provider.issuer,
        "client_id": "proxy",
        "client_secret": CLIENT_SECRET,
        "scope": "openid profile email groups",
    }
    document = {"provider": told | changes, **(settings or {})}
    async with real_scene(place.provider, sign_in, place.url, document) as here:
        yield here


async def test_a_full_cycle_from_the_deep_link_to_the_sign_out(place: Place) -> None:
    async with scene(place) as here:
        callback = await here.callback("/chat?m=1")
        assert asked(callback)["iss"] == place.provider.issuer
        assert (await here.get(callback))[:2] == (303, "/chat?m=1")
        assert (await here.get("/chat?m=1"))[0] == 200
        claims = await here.identity()
        assert (claims["sub"], claims["email"]) == ("alice", "alice@example.org")
        assert (claims["name"], sorted(claims["groups"])) == ("Alice Martin", ["admins", "dev"])
        assert claims["idp_iss"] == place.provider.issuer

        end = await here.sign_out_url()
        assert asked(end)["client_id"] == "proxy"  # it cannot tell the client from an array
        back = await sign_out(here.http, end, until=f"{here.url}/oauth2/signed_out")
        assert asked(back)["state"] == asked(end)["state"]
        assert (await here.get(back))[0] == 200
        assert here.cookies() == []
        assert (await here.get("/chat?m=1"))[0] == 302


async def test_tokens_are_refreshed(place: Place) -> None:
    async with scene(place, REFRESHED) as here:
        await here.sign_in("/", "bob")
        before = (await here.tokens()).refresh_token
        for _ in range(2):
            await next_second()
            here.clock.seconds += 60
            assert (await here.get("/"))[0] == 200
        assert (await here.tokens()).refresh_token != before
        claims = await here.identity()
        assert (claims["sub"], claims["groups"]) == ("bob", ["dev"])
        assert "refresh failed" not in here.all_logged()


async def test_an_id_token_for_nobody_is_refused(place: Place) -> None:
    """Without an audience at the provider, aud is an empty array."""
    async with scene(place, client_id="without-audience") as here:
        status, _, text = await here.get(await here.callback())
        assert (status, "id_token_invalid" in text) == (403, True)
        assert here.cookies() == []
        (line,) = here.logged("login_failed")
        assert (line["reason"], "aud" in line["detail"]) == ("id_token_invalid", True)


async def test_an_algorithm_is_accepted_when_it_is_named_and_only_then(place: Place) -> None:
    async with scene(place, client_id="rs512") as here:
        status, _, text = await here.get(await here.callback())
        assert (status, "id_token_invalid" in text) == (403, True)
        assert here.cookies() == []
    async with scene(place, client_id="rs512", id_token_algorithms=["RS512"]) as here:
        await here.sign_in()


async def test_a_wrong_secret_ends_on_our_page(place: Place) -> None:
    async with scene(place, client_secret="not-the-secret-that-was-registered") as here:
        status, _, text = await here.get(await here.callback())
        assert (status, "token_refused" in text) == (502, True)
        assert here.cookies() == []
