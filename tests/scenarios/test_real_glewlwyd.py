"""The full cycle at Debian's Glewlwyd: an OpenID provider in C with habits of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.providers.glewlwyd import (
    TOKEN_LIFE,
    Glewlwyd,
    GlewlwydClient,
    end_session,
    glewlwyd,
    sign_in,
    sign_out,
)
from tests.providers.node import browser_session
from tests.providers.program import free_port
from tests.scenarios.real import Scene, asked, real_scene

REFRESHED = {"session": {"refresh_every": TOKEN_LIFE}}


@pytest.fixture(scope="module")
def provider() -> Iterator[Glewlwyd]:
    with glewlwyd() as running:
        yield running


@asynccontextmanager
async def scene(
    provider: Glewlwyd, settings: dict[str, Any] | None = None
) -> AsyncIterator[Scene[Glewlwyd]]:
    """The proxy, with a registration of its own."""
    url = f"http://127.0.0.1:{free_port()}"
    client = GlewlwydClient(f"proxy-{secrets.token_hex(4)}", secrets.token_urlsafe(24), url)
    provider.register(client)
    told = {
        "issuer_url": provider.issuer,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "scope": "openid",
    }
    document = {"provider": told, **(settings or {})}
    async with real_scene(provider, sign_in, url, document) as here:
        yield here


async def test_a_full_cycle_from_the_deep_link_to_the_sign_out(provider: Glewlwyd) -> None:
    async with scene(provider) as here:
        callback = await here.callback("/chat?m=1")
        assert set(asked(callback)) == {"code", "state", "iss", "session_state"}
        assert (await here.get(callback))[:2] == (303, "/chat?m=1")
        assert (await here.get("/chat?m=1"))[0] == 200
        claims = await here.identity()
        assert (claims["email"], claims["name"]) == ("alice@example.org", "Alice Martin")
        assert claims["groups"] == ["admins", "dev"]
        assert claims["idp_iss"] == provider.issuer
        assert here.upstream.header("X-Forwarded-Email") == ["alice@example.org"]

        end = await here.sign_out_url()
        assert end.startswith(f"{provider.issuer}/end_session?")
        back = await sign_out(here.http, end)
        assert back.startswith(f"{here.url}/oauth2/signed_out?")
        assert asked(back)["state"] == asked(end)["state"]
        assert (await here.get(back))[0] == 200
        assert here.cookies() == []
        assert (await here.get("/chat?m=1"))[0] == 302


async def test_tokens_of_a_minute_are_refreshed_and_rotate(provider: Glewlwyd) -> None:
    async with scene(provider, REFRESHED) as here:
        await here.sign_in("/", "bob")
        before = await here.identity()
        for _ in range(3):  # each refresh token is good for one use
            here.clock.seconds += TOKEN_LIFE
            assert (await here.get("/"))[0] == 200
        after = await here.identity()
        assert (after["sub"], after["groups"]) == (before["sub"], ["dev"])
        assert "refresh failed" not in here.all_logged()


async def test_a_used_refresh_token_ends_the_session(provider: Glewlwyd) -> None:
    """Somebody stole and used it: the provider takes back what came of it, and we end with it."""
    async with scene(provider, REFRESHED) as here:
        await here.sign_in()
        stolen = (await here.tokens()).refresh_token
        fields = {"grant_type": "refresh_token", "refresh_token": stolen}
        ours = here.app.parts.runtime.providers[0]
        us = aiohttp.encode_basic_auth(ours.client_id, ours.client_secret.reveal())
        async with aiohttp.request(
            "POST", f"{provider.issuer}/token", data=fields, headers={"Authorization": us}
        ) as answer:
            assert answer.status == 200
            taken = (await answer.json())["refresh_token"]
        assert taken != stolen
        here.clock.seconds += TOKEN_LIFE
        assert (await here.get("/"))[0] == 302
        assert "session ended at refresh" in here.all_logged()
        assert stolen not in here.all_logged()


async def test_the_back_channel_ends_every_session_of_that_person(provider: Glewlwyd) -> None:
    """Its logout token names nobody's session, has no exp, and is of type JWT."""
    async with scene(provider) as here, browser_session() as other, browser_session() as third:
        await here.sign_in("/", "bob")
        bob, here.http = here.http, other
        await here.sign_in("/", "alice")
        here.http = third
        await here.sign_in("/", "alice")
        (sid,) = {c.value for c in third.cookie_jar if c.key == "GLEWLWYD2_OIDC_SID"}
        await end_session(third, provider.issuer, sid)
        assert (await here.until_logged("provider_logout"))["sessions"] == 2
        for http, status in ((third, 302), (other, 302), (bob, 200)):
            here.http = http
            assert (await here.get("/"))[0] == status


async def test_a_callback_of_another_provider_signs_nobody_in(provider: Glewlwyd) -> None:
    async with scene(provider) as here:
        callback = await here.callback()
        changed = callback.replace("iss=http%3A%2F%2F127", "iss=http%3A%2F%2F128")
        assert changed != callback
        _, _, text = await here.get(changed)
        assert "issuer_mismatch" in text
        assert "auth_proxy" not in here.cookies()


async def test_sessions_outlive_a_restart_of_the_provider() -> None:
    with glewlwyd() as provider:
        async with scene(provider, REFRESHED) as here:
            await here.sign_in()
            provider.restart()
            here.clock.seconds += TOKEN_LIFE
            assert (await here.get("/"))[0] == 200
            assert "refresh failed" not in here.all_logged()
