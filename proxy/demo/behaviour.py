"""The steps of the demo's provider that a variant may change: a dialect, or a provider that errs.

``Behaviour`` itself does what the standards say. A subclass overrides a method; the provider
calls each exactly once where its name says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from proxy.demo.keys import Keys
from proxy.demo.people import SCOPES, Client
from proxy.model import Json

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """An error with a code of RFC 6749 section 5.2 or 4.1.2.1, told to the client."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status


class PageError(Exception):
    """A refusal that the person sees here: the client must not be trusted with a redirect."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the endpoints are, below the issuer."""

    authorize: str = "/authorize"
    token: str = "/token"
    userinfo: str = "/userinfo"
    jwks: str = "/jwks"
    end_session: str = "/session/end"


class Behaviour:
    """A provider that follows the standards."""

    paths = Paths()
    scopes: Mapping[str, tuple[str, ...]] = SCOPES
    auth_methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post", "none")
    code_life = 60.0
    token_life = 3600.0
    refresh_life = 12 * 3600.0
    acr = "1"

    def check_request(self, params: Mapping[str, str], client: Client) -> None:
        """Judge an authorization request further; raises PageError or OAuthError."""

    def check_logout(self, params: Mapping[str, str], client: Client | None) -> None:
        """Judge a logout request further; raises PageError."""

    def callback(self, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The parameters that the browser takes back to the client, errors included."""
        return params

    def id_token_claims(self, claims: dict[str, Json]) -> dict[str, Json]:
        """The claims that are signed into an ID token."""
        return claims

    def sign_id_token(self, keys: Keys, claims: Mapping[str, Json]) -> str:
        """The ID token in compact form."""
        return keys.sign(claims)

    async def discovery(self, document: dict[str, Json]) -> web.StreamResponse:
        """Answer a request for the metadata document."""
        return web.json_response(document, headers={"Cache-Control": "max-age=600"})

    async def jwks(self, document: dict[str, Json]) -> web.StreamResponse:
        """Answer a request for the public keys."""
        return web.json_response(document, headers={"Cache-Control": "max-age=600"})

    async def token(self, document: dict[str, Json]) -> web.StreamResponse:
        """Answer a token request that succeeded."""
        return web.json_response(document, headers=NO_STORE)

    async def userinfo(
        self, claims: dict[str, Json], keys: Keys, client: Client
    ) -> web.StreamResponse:
        """Answer a userinfo request whose access token is good."""
        return web.json_response(claims, headers=NO_STORE)
