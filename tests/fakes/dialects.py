"""Dialects for the fake provider: Keycloak, Okta, Auth0 and GitLab as they describe themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from proxy.demo.behaviour import Behaviour, OAuthError, PageError
from proxy.demo.grants import Grant, Shelf
from proxy.demo.keys import Keys
from proxy.demo.people import SCOPES, Client, User
from proxy.model import Json
from tests.fakes.provider import FakeProvider

KIM = User(
    username="kim",
    sub="f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    name="Kim Keycloak",
    given_name="Kim",
    family_name="Keycloak",
    email="kim@example.org",
    groups=("/dev", "/dev/api"),
    extra={
        "realm_access": {"roles": ["offline_access", "member"]},
        "resource_access": {"proxy": {"roles": ["admin"]}, "other": {"roles": ["owner"]}},
        "nickname": "kim",
        "groups_direct": ["dev"],
        "https://play.example.org/roles": ["member"],
    },
)
"""Known everywhere; each dialect tells its part of it."""


class SignedTokens(Shelf[Grant]):
    """Access tokens that are JWTs, whose claims ``describe`` gives."""

    def __init__(self, clock: Callable[[], float], describe: Callable[[Grant, int], str]) -> None:
        super().__init__(clock)
        self._describe = describe

    def add(self, value: Grant, life: float) -> str:
        plain = super().add(value, life)
        token = self._describe(value, int(self._clock() + life))
        self._entries[token] = self._entries.pop(plain)
        return token


class FakeKeycloak(FakeProvider):
    """A realm: roles are in the access token alone, which is a JWT for the audience account."""

    def __init__(self, *clients: Client, **options: Any) -> None:
        super().__init__(*clients, users=(KIM,), base_path="/realms/acme", **options)
        self.signs: Callable[[Keys, Mapping[str, Json]], str] = Keys.sign

    async def start(self) -> None:
        await super().start()
        self.provider.grants.access_tokens = SignedTokens(self._clock, self._token)

    def _token(self, grant: Grant, until: int) -> str:
        user = grant.sign_in.user
        claims = {
            "iss": self.issuer,
            "sub": user.sub,
            "aud": "account",
            "azp": grant.request.client_id,
            "typ": "Bearer",
            "iat": int(self._clock()),
            "exp": until,
            "jti": f"{until}-{len(self.requests)}",
            "scope": " ".join(grant.request.scopes),
            "realm_access": user.extra["realm_access"],
            "resource_access": user.extra["resource_access"],
        }
        return self.signs(self.provider.keys, claims)


class Okta(Behaviour):
    """The org authorization server: ``groups`` is a scope; a scope it does not have is an error,
    and so is a sign-out that does not say whose."""

    def check_request(self, params: Mapping[str, str], client: Client) -> None:
        if set(params.get("scope", "").split()) - set(self.scopes):
            raise OAuthError("invalid_scope", "One or more scopes are not configured.")

    def check_logout(self, params: Mapping[str, str], client: Client | None) -> None:
        if "id_token_hint" not in params:
            raise PageError("invalid_client", "id_token_hint is required")


class Auth0(Behaviour):
    """The issuer ends with a slash; what tenants add to tokens is named by URLs."""

    scopes: Mapping[str, tuple[str, ...]] = {
        **{name: claims for name, claims in SCOPES.items() if name != "groups"},
        "openid": ("sub", "https://play.example.org/roles"),
    }


class GitLab(Behaviour):
    """Groups are in userinfo, those of direct members in the ID token; nothing ends sessions."""

    scopes: Mapping[str, tuple[str, ...]] = {
        "openid": ("sub", "name", "nickname", "groups", "groups_direct"),
        "profile": (),
        "email": ("email", "email_verified"),
    }

    def id_token_claims(self, claims: dict[str, Json]) -> dict[str, Json]:
        return {name: value for name, value in claims.items() if name not in ("groups", "acr")}

    async def userinfo(
        self, claims: dict[str, Json], keys: Keys, client: Client
    ) -> web.StreamResponse:
        told = {name: value for name, value in claims.items() if name != "groups_direct"}
        return await super().userinfo(told, keys, client)

    async def discovery(self, document: dict[str, Json]) -> web.StreamResponse:
        told = {name: value for name, value in document.items() if name != "end_session_endpoint"}
        return await super().discovery(told)
