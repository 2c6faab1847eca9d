"""Google as developers.google.com describes it: a dialect for the fake provider."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from proxy.demo.behaviour import Behaviour
from proxy.demo.people import User
from proxy.model import Json


def _person(number: str, name: str, email: str, *, verified: bool = True, hd: str = "") -> User:
    given, _, family = name.partition(" ")
    extra = {"hd": hd} if hd else {}
    return User(given.lower(), number, name, given, family, email, verified, extra=extra)


ADA = _person("110169484474386276334", "Ada Byron", "ada@example.org", hd="example.org")
OTTO = _person("110169484474386276335", "Otto Other", "otto@other.example", hd="other.example")
PIA = _person("110169484474386276336", "Pia Private", "pia@gmail.example")
"""An account of her own: no hd."""
ZOE = _person("110169484474386276337", "Zoe Example", "zoe@example.org")
"""An account of her own, under an address of the company's that she once could read: no hd."""

_ID_TOKEN = frozenset(
    (
        *("iss", "sub", "azp", "aud", "iat", "exp", "nonce", "at_hash"),
        *("hd", "email", "email_verified", "name", "picture", "given_name", "family_name"),
    )
)


class Google(Behaviour):
    """No groups, no acr, no session id, no end of sessions."""

    scopes: Mapping[str, tuple[str, ...]] = {
        "openid": ("sub",),
        "email": ("email", "email_verified", "hd"),
        "profile": ("name", "given_name", "family_name", "picture"),
    }
    auth_methods = ("client_secret_post", "client_secret_basic")

    def id_token_claims(self, claims: dict[str, Json]) -> dict[str, Json]:
        told = {name: value for name, value in claims.items() if name in _ID_TOKEN}
        return told | {"azp": claims["aud"]}

    async def discovery(self, document: dict[str, Json]) -> web.StreamResponse:
        told = {name: value for name, value in document.items() if name != "end_session_endpoint"}
        return await super().discovery(told)
