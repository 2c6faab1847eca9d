"""Who the demo's provider knows: its people, its clients, and what scopes tell of a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from proxy.model import Json


@dataclass(frozen=True, slots=True)
class User:
    """A person who can sign in; ``extra`` holds further claims, by name.

    Someone not ``listed`` has no button on the sign-in form, but can type the name.
    """

    username: str
    sub: str
    name: str
    given_name: str
    family_name: str
    email: str
    email_verified: bool = True
    groups: tuple[str, ...] = ()
    listed: bool = True
    extra: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Client:
    """A relying party; an empty secret makes it a public client (RFC 6749 section 2.1)."""

    client_id: str
    secret: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()

    @property
    def public(self) -> bool:
        return not self.secret


ALICE = User(
    username="alice",
    sub="alice-5f0c3b1e",
    name="Alice Martin",
    given_name="Alice",
    family_name="Martin",
    email="alice@example.org",
    groups=("admins", "dev"),
)
BOB = User(
    username="bob",
    sub="bob-92d7aa40",
    name="Bob Durand",
    given_name="Bob",
    family_name="Durand",
    email="bob@example.org",
    groups=("dev",),
)
MALLORY = User(
    username="mallory",
    sub="mallory-e4418c07",
    name="Mallory Smith",
    given_name="Mallory",
    family_name="Smith",
    email="mallory@elsewhere.example",
    listed=False,
)
"""Someone whom a filter on example.org or on groups turns away."""

SCOPES: Mapping[str, tuple[str, ...]] = {
    "openid": ("sub",),
    "profile": ("name", "given_name", "family_name", "preferred_username"),
    "email": ("email", "email_verified"),
    "groups": ("groups",),
    "offline_access": (),
}
"""Scope → claims (OpenID Connect Core section 5.4, and the usual ``groups``)."""


def claims_of(
    user: User, scopes: Iterable[str], catalogue: Mapping[str, tuple[str, ...]]
) -> dict[str, Json]:
    """The claims about ``user`` that ``scopes`` release by ``catalogue``; always with ``sub``."""
    known: dict[str, Json] = {
        "sub": user.sub,
        "name": user.name,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "preferred_username": user.username,
        "email": user.email,
        "email_verified": user.email_verified,
        "groups": list(user.groups),
        **user.extra,
    }
    names = ["sub", *(name for scope in scopes for name in catalogue.get(scope, ()))]
    return {name: known[name] for name in names if name in known}
