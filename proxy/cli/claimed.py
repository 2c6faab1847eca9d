"""A person who is only supposed: from a file of claims, or from flags."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from proxy.config.person import Claims as ClaimsMap
from proxy.config.provider import Provider
from proxy.config.types import parse_duration
from proxy.crypto.strict_json import read_object
from proxy.oidc.issuer import TEMPLATE
from proxy.oidc.told import Told
from proxy.oidc.userinfo import Userinfo

_LARGEST: Final = 2**20
_PARTS: Final = frozenset({"id_token", "userinfo", "access_token", "groups"})
_BY_API: Final = ("entra", "github")
"""Presets whose groups come from an API of the provider."""
_NOBODY_IN_PARTICULAR: Final = "someone"
_FLAGS: Final = ("email", "sub", "groups", "role", "acr", "amr", "signed_in", "claim")
_CLAIMS: Final = ClaimsMap(user="sub", groups=("groups",), roles=("role",))
"""How flags are named as claims, whatever the provider calls them."""


def claimed(
    parsed: argparse.Namespace, provider: Provider, now: float
) -> tuple[Told, Provider] | None:
    """What a sign-in at ``provider`` would bring, and by which claims it is read.

    None without any of the flags. Raises ValueError, OSError for a file that is of no use.
    """
    given = [name for name in _FLAGS if getattr(parsed, name) is not None]
    if parsed.claims is not None:
        if given or parsed.email_unverified:
            raise ValueError(f"--claims says it all: --{(given or ['email_unverified'])[0]} cannot")
        return _from_file(parsed.claims, provider), provider
    if not given:
        return None
    extra = provider.claims.extra
    plain = provider.model_copy(update={"claims": _CLAIMS.model_copy(update={"extra": extra})})
    return _told(provider, _from_flags(parsed, provider, now), _list(parsed.groups)), plain


def _from_file(path: str, provider: Provider) -> Told:
    try:
        with Path(path).open("rb") as file:
            document = read_object(file.read(_LARGEST + 1), _LARGEST)
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc
    if not set(document) <= _PARTS or not isinstance(document.get("id_token"), Mapping):
        return _told(provider, document)
    members = {name: document.get(name) for name in ("id_token", "userinfo", "access_token")}
    for name, member in members.items():
        if member is not None and not isinstance(member, Mapping):
            raise ValueError(f"{path}: {name} is no object")
    groups: Any = document.get("groups")
    if groups is not None and not (isinstance(groups, list) and all(_is_text(g) for g in groups)):
        raise ValueError(f"{path}: groups is no list of texts")
    claims: Any = members["id_token"]
    issuer = _issuer(provider, claims)
    userinfo: Any = members["userinfo"]
    access: Any = members["access_token"]
    return Told(
        issuer=issuer,
        id_token=claims,
        userinfo=Userinfo(userinfo) if userinfo is not None else None,
        access_token={"iss": issuer, **access} if access else {},
        groups=tuple(groups) if groups is not None else None,
    )


def _told(provider: Provider, claims: Mapping[str, object], groups: Sequence[str] = ()) -> Told:
    """``claims``, whichever token they count in; ``groups`` as their source has them."""
    says = Userinfo(claims) if provider.claims_source == "userinfo" else None
    found = tuple(groups) if provider.preset in _BY_API and groups else None
    return Told(_issuer(provider, claims), claims, says, groups=found)


def _from_flags(parsed: argparse.Namespace, provider: Provider, now: float) -> dict[str, Any]:
    """Somebody for whom the provider may speak, unless the flags say otherwise."""
    ago = parse_duration(parsed.signed_in) if parsed.signed_in is not None else 0.0
    claims: dict[str, Any] = {
        "sub": parsed.sub if parsed.sub is not None else _NOBODY_IN_PARTICULAR,
        "auth_time": int(now - ago),
    }
    if provider.hosted_domains:
        claims["hd"] = provider.hosted_domains[0]
    if provider.entra.allowed_tenants:
        claims["tid"] = provider.entra.allowed_tenants[0].lower()
    if parsed.email is not None:
        claims |= {"email": parsed.email, "email_verified": not parsed.email_unverified}
    if parsed.groups is not None and provider.preset not in _BY_API:
        claims["groups"] = _list(parsed.groups)
    if parsed.amr is not None:
        claims["amr"] = _list(parsed.amr)
    for name in ("role", "acr"):
        if getattr(parsed, name) is not None:
            claims[name] = getattr(parsed, name)
    for pair in parsed.claim or ():
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ValueError(f"--claim {pair}: is not NAME=VALUE")
        claims[name] = value
    return claims


def _issuer(provider: Provider, claims: Mapping[str, object]) -> str:
    """The token's own, else as the provider's tokens would name it."""
    said, tenant = claims.get("iss"), claims.get("tid")
    if isinstance(said, str):
        return said
    issuer = str(provider.issuer_url or provider.server_metadata_url or "https://provider.example")
    return issuer.replace(TEMPLATE, tenant) if isinstance(tenant, str) else issuer


def _list(text: str | None) -> list[str]:
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def _is_text(value: object) -> bool:
    return isinstance(value, str)
