"""Access tokens of an independent, certified provider (npm oidc-provider): JWTs that were asked
for by resource (RFC 8707, RFC 9068), and opaque ones that it is asked about (RFC 7662)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from proxy.crypto.jwk import encode_base64url
from proxy.errors import BearerRefused
from proxy.oidc.bearer import claimed_issuer
from proxy.web.issuers import Issuers
from tests.browser.providers import need_npm
from tests.providers.node import NodeConfig, NodeProvider, browser_session, sign_in
from tests.web.trusting import PUBLIC, trusting

BACK = "http://127.0.0.1:1/callback"


@dataclass(frozen=True, slots=True)
class Program:
    """A client of the provider's that wants to use our API."""

    npm: NodeProvider
    http: aiohttp.ClientSession

    async def for_alice(self, resource: str | None = PUBLIC) -> dict[str, str]:
        """What she lets it have: the whole answer of the token endpoint."""
        verifier = "v" * 64
        asked = {
            "client_id": self.npm.config.client_id,
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid email models" if resource else "openid email",
            "code_challenge": encode_base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **({"resource": resource} if resource else {}),
        }
        url = f"{self.npm.issuer}/auth?{urlencode(asked)}"
        back = await sign_in(self.http, url, "alice", until=BACK)
        (code,) = parse_qs(urlsplit(back).query)["code"]
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
            "code_verifier": verifier, **({"resource": resource} if resource else {}),
        }  # fmt: skip
        return await self.token(form)

    async def for_itself(self) -> str:
        form = {"grant_type": "client_credentials", "resource": PUBLIC, "scope": "models"}
        return (await self.token(form))["access_token"]

    async def token(self, form: dict[str, str]) -> dict[str, str]:
        document: dict[str, str] = json.loads(await self.post("/token", form))
        return document

    async def post(self, path: str, form: dict[str, str]) -> str:
        config = self.npm.config
        pair = aiohttp.encode_basic_auth(config.client_id, config.client_secret)
        url, headers = f"{self.npm.issuer}{path}", {"Authorization": pair}
        async with self.http.post(url, data=form, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return text


@asynccontextmanager
async def scene(form: str) -> AsyncIterator[tuple[Program, Issuers]]:
    """A provider whose access tokens have this form, and us, who trust it."""
    need_npm()
    resource = {"audience": PUBLIC, "scope": "models", "format": form, "algorithm": "ES256"}
    config = NodeConfig((BACK,), resource=resource, skip_consent=True)
    async with NodeProvider(config) as npm, browser_session() as http:
        provider = {
            "issuer_url": npm.issuer,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
        }
        bearer = {"audiences": [PUBLIC], "introspect": True}
        async with trusting(time.time, provider=provider, bearer=bearer) as issuers:
            yield Program(npm, http), issuers


async def test_a_jwt_that_alice_gave_to_a_program() -> None:
    async with scene("jwt") as (program, issuers):
        answer = await program.for_alice()
        text = answer["access_token"]
        # whose it is may be known only once the provider has been asked
        assert issuers.claims_issuer(text) == program.npm.issuer
        found = await issuers.identity(text, time.time())
        assert (found.identity.subject, found.identity.issuer) == ("alice", program.npm.issuer)
        assert found.scopes == ("models",)
        assert found.expires_at == pytest.approx(time.time() + 660, abs=10)
        # the ID token of the same answer is for the program alone
        with pytest.raises(BearerRefused):
            await issuers.identity(answer["id_token"], time.time())


async def test_a_jwt_of_a_program_that_acts_for_itself() -> None:
    async with scene("jwt") as (program, issuers):
        found = await issuers.identity(await program.for_itself(), time.time())
        assert found.identity.subject == program.npm.config.client_id


async def test_an_opaque_token_and_its_end() -> None:
    async with scene("opaque") as (program, issuers):
        answer = await program.for_alice()
        text = answer["access_token"]
        assert claimed_issuer(text) == ""
        found = await issuers.identity(text, time.time())
        assert (found.identity.subject, found.scopes) == ("alice", ("models",))
        # one for no resource is for the provider's own userinfo, and no refresh token is one
        for other in ((await program.for_alice(None))["access_token"], answer["refresh_token"]):
            with pytest.raises(BearerRefused):
                await issuers.identity(other, time.time())
        revoked = await program.for_alice()
        await program.post("/token/revocation", {"token": revoked["access_token"]})
        with pytest.raises(BearerRefused):
            await issuers.identity(revoked["access_token"], time.time())
