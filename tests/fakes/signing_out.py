"""What the fake provider does when somebody signs out: logout tokens, and revocation."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import cast

from aiohttp import web

from proxy.demo.behaviour import OAuthError
from proxy.demo.state import PROVIDER, Provider, form
from proxy.demo.tokens import authenticate
from tests.fakes.misbehaviour import SIGN
from tests.fakes.switchable import Switchable

EVENT = "http://schemas.openid.net/event/backchannel-logout"


def logout_token(
    provider: Provider, client_id: str, fault: str, typ: str, changes: Mapping[str, object]
) -> str:
    """See ``FakeProvider.logout_token``."""
    now = int(provider.clock())
    claims: dict[str, object] = {
        "iss": provider.config.issuer,
        "aud": client_id,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_urlsafe(16),
        "events": {EVENT: {}},
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return SIGN[fault](provider.keys, claims) if fault else provider.keys.sign(claims, typ)


async def revoke(request: web.Request) -> web.StreamResponse:
    """RFC 7009 section 2: everything that came of the same grant goes as well."""
    provider = request.app[PROVIDER]
    try:
        params = await form(request)
        authenticate(provider, request.headers.get("Authorization"), params)
    except OAuthError as error:
        return web.json_response({"error": error.error}, status=error.status)
    for shelf in (provider.grants.refresh_tokens, provider.grants.access_tokens):
        if (grant := shelf.get(params.get("token", ""))) is not None:
            provider.grants.revoke(grant.id)
    return await cast(Switchable, provider.behaviour).revoke()
