"""All that one sign-in brought, each part of it verified."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from proxy.oidc.facts import Claims
from proxy.oidc.userinfo import Userinfo


@dataclass(frozen=True, slots=True)
class Told:
    """``issuer`` is the token's own (Entra: that of the tenant). ``id_token`` holds its claims;
    for a provider without ID tokens what its API said, with ``sub``. ``access_token`` holds those
    of a JWT access token, where ``claims.from_access_token`` asks for them. ``groups`` come from
    an API of the provider (Graph, GitHub), None where it was not asked; ``groups_partial``: there
    may be more of them. ``notes`` are words for
    the log, without secrets.
    """

    issuer: str
    id_token: Claims = field(repr=False)
    userinfo: Userinfo | None = None
    access_token: Claims = field(default_factory=lambda: MappingProxyType({}), repr=False)
    groups: tuple[str, ...] | None = field(default=None, repr=False)
    groups_partial: bool = False
    notes: tuple[str, ...] = ()
