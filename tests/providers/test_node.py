"""The provider alone, asked by the plainest possible relying party: it must be what it claims."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import jwt
import pytest

from tests.providers.node import (
    NodeConfig,
    NodeProvider,
    browser_session,
    read_form,
    sign_in,
    sign_out,
)

CALLBACK = "http://127.0.0.1:1/oauth2/callback"
SIGNED_OUT = "http://127.0.0.1:1/oauth2/signed_out"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-section-4.1"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]
CONFIG = NodeConfig(redirect_uris=(CALLBACK,), post_logout_redirect_uris=(SIGNED_OUT,))


def authorization_url(issuer: str, **changes: str) -> str:
    parameters = {
        "client_id": CONFIG.client_id,
        "response_type": "code",
        "scope": "openid email profile groups",
        "redirect_uri": CALLBACK,
        "state": "the-state",
        "nonce": "the-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{issuer}/auth?{urlencode({**parameters, **changes})}"


async def tokens_for(http: aiohttp.ClientSession, issuer: str, code: str) -> dict[str, Any]:
    pair = f"{CONFIG.client_id}:{CONFIG.client_secret}"
    async with http.post(
        f"{issuer}/token",
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        },
        headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
    ) as response:
        answer: dict[str, Any] = await response.json()
        assert response.status == 200, answer
        return answer


def one(url: str, name: str) -> str:
    (value,) = parse_qs(urlsplit(url).query)[name]
    return value


async def test_code_cycle_ends_with_verifiable_claims_and_a_sign_out() -> None:
    async with NodeProvider(CONFIG) as provider, browser_session() as http:
        callback = await sign_in(http, authorization_url(provider.issuer), "alice", until=CALLBACK)
        assert one(callback, "state") == "the-state"
        assert one(callback, "iss") == provider.issuer
        tokens = await tokens_for(http, provider.issuer, one(callback, "code"))

        async with http.get(f"{provider.issuer}/jwks") as response:
            keys = jwt.PyJWKSet.from_dict(await response.json())
        header = jwt.get_unverified_header(tokens["id_token"])
        claims = jwt.decode(
            tokens["id_token"],
            keys[header["kid"]].key,
            algorithms=["RS256"],
            audience=CONFIG.client_id,
            issuer=provider.issuer,
        )
        assert claims["nonce"] == "the-nonce"
        assert (claims["sub"], claims["groups"]) == ("alice", ["admins", "dev"])

        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        async with http.get(f"{provider.issuer}/me", headers=bearer) as response:
            assert (await response.json())["email"] == "alice@example.org"

        end = urlencode(
            {
                "id_token_hint": tokens["id_token"],
                "client_id": CONFIG.client_id,
                "post_logout_redirect_uri": SIGNED_OUT,
                "state": "bye",
            }
        )
        back = await sign_out(http, f"{provider.issuer}/session/end?{end}", until=SIGNED_OUT)
        assert one(back, "state") == "bye"


async def test_an_unknown_redirect_uri_never_gets_a_redirect() -> None:
    async with NodeProvider(CONFIG) as provider, browser_session() as http:
        url = authorization_url(provider.issuer, redirect_uri="http://127.0.0.1:1/elsewhere")
        with pytest.raises(ValueError, match="answered 400"):
            await sign_in(http, url, "alice", until="http://127.0.0.1:1/")


async def test_claims_can_be_kept_to_userinfo_and_consent_be_skipped() -> None:
    config = NodeConfig(redirect_uris=(CALLBACK,), claims_in_userinfo_only=True, skip_consent=True)
    async with NodeProvider(config) as provider, browser_session() as http:
        callback = await sign_in(http, authorization_url(provider.issuer), "bob", until=CALLBACK)
        tokens = await tokens_for(http, provider.issuer, one(callback, "code"))
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert "email" not in claims
    assert claims["sub"] == "bob"


async def test_a_restart_after_a_kill_keeps_the_issuer() -> None:
    provider = NodeProvider(CONFIG)
    await provider.start()
    issuer = provider.issuer
    await provider.kill()
    await provider.start()
    try:
        assert provider.issuer == issuer
        async with browser_session() as http:
            url = f"{issuer}/.well-known/openid-configuration"
            async with http.get(url) as response:
                metadata = await response.json()
        assert metadata["issuer"] == issuer
        assert metadata["authorization_response_iss_parameter_supported"] is True
    finally:
        await provider.stop()


async def test_a_provider_that_cannot_listen_says_why() -> None:
    with pytest.raises(RuntimeError, match="ERR_SOCKET_BAD_PORT"):
        await NodeProvider(CONFIG, port=1 << 20).start()


def test_the_first_form_of_a_page_is_read_with_its_hidden_fields() -> None:
    form = read_form(
        '<form action="/go"><input name="a" value="1"><input name="b"></form><input name="c">'
    )
    assert (form.action, form.fields) == ("/go", {"a": "1", "b": ""})
    with pytest.raises(ValueError, match="no form"):
        read_form("<p>nothing</p>")
