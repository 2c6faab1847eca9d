"""An independent, certified provider (npm oidc-provider) ends sessions, and takes tokens back."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

from tests.providers.node import NodeProvider, browser_session, sign_out
from tests.scenarios.real import Scene
from tests.scenarios.test_real_provider import scene


async def leave(here: Scene[NodeProvider]) -> None:
    """The person signs out at the provider itself, as from another application."""
    fields = {"client_id": "proxy", "post_logout_redirect_uri": f"{here.url}/oauth2/signed_out"}
    end = f"{here.provider.issuer}/session/end?{urlencode(fields)}"
    await sign_out(here.http, end, until=f"{here.url}/oauth2/signed_out")


async def test_a_sign_out_elsewhere_ends_the_session_that_began_there() -> None:
    async with scene() as here, browser_session() as other:
        await here.sign_in("/", "alice")
        first, here.http = here.http, other
        await here.sign_in("/", "alice")  # the same person, in a second browser
        here.http = first
        await leave(here)
        assert (await here.get("/"))[0] == 302
        (line,) = here.logged("provider_logout")
        assert (line["sub"], line["sessions"]) == ("alice", 1)
        assert here.logged("logout_failed") == []
        here.http = other
        assert (await here.get("/"))[0] == 200
        await leave(here)
        assert (await here.get("/"))[0] == 302


async def test_our_own_sign_out_is_followed_by_the_providers_word() -> None:
    async with scene() as here:
        await here.sign_in("/")
        _, end, _ = await here.get("/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"})
        await sign_out(here.http, end, until=f"{here.url}/oauth2/signed_out")
        (line,) = here.logged("provider_logout")
        assert line["sessions"] == 0
        await here.sign_in("/")


async def is_active(here: Scene[NodeProvider], token: str) -> bool:
    us = here.provider.config
    pair = base64.b64encode(f"{us.client_id}:{us.client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    url = f"{here.provider.issuer}/token/introspection"
    async with here.http.post(url, data={"token": token}, headers=headers) as response:
        answer: dict[str, Any] = await response.json()
        return bool(answer["active"])


async def test_a_sign_out_takes_the_tokens_back() -> None:
    settings = {"headers": {"access_token": True}, "session": {"refresh_every": "5m"}}
    async with scene(settings=settings) as here:
        await here.sign_in("/")
        (token,) = here.upstream.header("X-Forwarded-Access-Token")
        assert await is_active(here, token)
        await here.get("/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"})
        await here.app.parts.logout.close()
        assert not await is_active(here, token)
        assert "not revoked" not in here.log.getvalue()
