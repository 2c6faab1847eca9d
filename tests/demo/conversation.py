"""The steps of a sign-in as a relying party takes them, for the provider's tests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp

from proxy.crypto import jwt
from proxy.demo.people import Client
from tests.fakes.provider import FakeProvider

CALLBACK = "http://127.0.0.1:9/oauth2/callback?keep=1"
SIGNED_OUT = "http://127.0.0.1:9/oauth2/signed_out"
WEB = Client("web", "a secret:with/odd+chars", (CALLBACK,), (SIGNED_OUT,))
OTHER = Client("other", "another-secret", (CALLBACK,), (SIGNED_OUT,))
SPA = Client("spa", "", (CALLBACK,))
VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
REQUEST = {
    "response_type": "code",
    "client_id": "web",
    "redirect_uri": CALLBACK,
    "scope": "openid profile email groups",
    "state": "s" * 43,
    "nonce": "n" * 43,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str] = field(repr=False)


def authorize_url(fake: FakeProvider, **changes: str | None) -> str:
    """The authorization URL of ``REQUEST`` with changes; None leaves a parameter out."""
    params = {k: v for k, v in {**REQUEST, **changes}.items() if v is not None}
    return f"{fake.issuer}/authorize?{urlencode(params)}"


def parameters(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


async def code_for(fake: FakeProvider, user: str = "alice", **changes: str | None) -> str:
    return parameters(await fake.sign_in(authorize_url(fake, **changes), user))["code"][0]


async def post_token(
    fake: FakeProvider, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{fake.issuer}/token", data=fields, headers=headers) as response,
    ):
        return Answer(response.status, await response.json(content_type=None), response.headers)


async def redeem(fake: FakeProvider, code: str, /, **changes: str | None) -> Answer:
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "client_id": WEB.client_id,
        "client_secret": WEB.secret,
        **changes,
    }
    return await post_token(fake, {k: v for k, v in fields.items() if v is not None})


async def refresh(fake: FakeProvider, token: str, **changes: str) -> Answer:
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": token,
        "client_id": WEB.client_id,
        "client_secret": WEB.secret,
    }
    return await post_token(fake, fields | changes)


async def get(url: str, **headers: str) -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, allow_redirects=False) as response,
    ):
        text = await response.text()
        body = await response.json() if response.content_type == "application/json" else text
        return Answer(response.status, body, response.headers)


async def verified(fake: FakeProvider, token: str) -> Mapping[str, object]:
    """The claims of a token that the published keys verify."""
    document = (await get(f"{fake.issuer}/jwks")).body
    return jwt.verify(token, jwt.parse_jwks(document), ["RS256", "ES256"]).claims
