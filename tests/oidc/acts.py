"""What a strict relying party is made to judge: one token, answer or return each, by the real
functions. An act is made when the table is, and done when its row is tested.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping

from proxy.config.types import Secret
from proxy.crypto.jwt import UnknownKey, VerificationKeys, parse_jwks
from proxy.errors import ProxyError, Reason
from proxy.oidc.access_token import verify_access_token
from proxy.oidc.attempt import check_callback
from proxy.oidc.idtoken import verify_id_token, verify_refreshed
from proxy.oidc.logout_token import EVENT, verify_logout_token
from proxy.oidc.metadata import read_metadata
from proxy.oidc.person import Person, person
from proxy.oidc.roles import RoleTable
from proxy.oidc.told import Told
from proxy.oidc.userinfo import read_userinfo
from tests.crypto.forge import ec_key, rsa_key, token, token_of
from tests.oidc.scene import (
    ATTEMPT,
    CLIENT,
    ISSUER,
    METADATA,
    NONCE,
    NOW,
    STATE,
    keys,
    provider,
)

Act = Callable[[], object]
Outcome = Reason | type[Exception] | int | None
Changes = Mapping[str, object]

ACCESS_TOKEN = "an access token"
MISSING = object()
ID_CLAIMS: Changes = {
    "iss": ISSUER,
    "sub": "704e-1",
    "aud": CLIENT,
    "exp": NOW + 3600,
    "iat": NOW,
    "nonce": NONCE,
}
# as OpenID's conformance suite sends it, an unknown claim included
LOGOUT_CLAIMS: Changes = {
    "iss": ISSUER,
    "sub": "704e-1",
    "aud": CLIENT,
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "jti-1",
    "sid": "sid-1",
    "events": {EVENT: {}},
    "unknown": {"to": "be ignored"},
}
WE: Changes = {"iss": ISSUER, "sub": "704e-1", "aud": CLIENT}
ACCESS_CLAIMS: Changes = {
    "iss": ISSUER,
    "sub": "704e-1",
    "aud": "account",
    "azp": CLIENT,
    "exp": NOW + 300,
    "realm_access": {"roles": ["admin"]},
}


async def outcome(act: Act) -> Outcome:
    """None: it was believed. What a row of another kind finds is its outcome."""
    try:
        found = act()
        found = await found if isinstance(found, Awaitable) else found
    except ProxyError as exc:
        return exc.reason if exc.detail.isprintable() else UnicodeError
    except UnknownKey:
        return UnknownKey
    except ValueError:
        return ValueError
    return found if isinstance(found, int) else None


def changed(claims: Changes, changes: Changes) -> dict[str, object]:
    return {k: v for k, v in {**claims, **changes}.items() if v is not MISSING}


def signed(changes: Changes | None = None, **header: object) -> str:
    """An ID token, good but for what is said."""
    return token(changed(ID_CLAIMS, changes or {}), rsa_key(), "RS256", **header)


def secret(value: str) -> dict[str, object]:
    return {"client_secret": Secret(value)}


def headed(header: bytes) -> str:
    return token_of(header, ID_CLAIMS, rsa_key(), "RS256")


def with_more(more: bytes) -> str:
    return token(json.dumps(dict(ID_CLAIMS))[:-1].encode() + b"," + more + b"}", rsa_key(), "RS256")


def hs256(key: str, **header: object) -> str:
    return token(ID_CLAIMS, key.encode(), "HS256", **header)


def public_key() -> str:
    return json.dumps(rsa_key().jwk())


def es256() -> str:
    return token(ID_CLAIMS, ec_key(), "ES256")


def thief(**header: object) -> str:
    return token(ID_CLAIMS, rsa_key("thief"), "RS256", **{"kid": "rsa", **header})


def nameless() -> str:
    return signed(kid=None)


def keys_of(*kids: str) -> Callable[[], VerificationKeys]:
    return lambda: parse_jwks({"keys": [rsa_key(kid).jwk() for kid in kids]})


def userinfo_jwt(**changes: object) -> str:
    return token({**WE, **changes}, rsa_key(), "RS256")


def id_token(changes: Changes | None = None, **header: object) -> Act:
    return id_token_of(lambda: signed(changes, **header))


def id_token_of(
    make: Callable[[], str],
    known: Callable[[], VerificationKeys] = keys,
    *,
    access_token: str = ACCESS_TOKEN,
    nonce: str = NONCE,
    issuer: str = ISSUER,
    options: Changes | None = None,
) -> Act:
    """``options`` are the provider's."""
    settings = provider(**{"id_token_algorithms": ("RS256", "ES256"), **(options or {})})
    metadata = dataclasses.replace(
        METADATA, issuer=issuer, id_token_algorithms=settings.id_token_algorithms
    )
    return lambda: verify_id_token(
        make(),
        known(),
        provider=settings,
        metadata=metadata,
        nonce=nonce,
        now=NOW,
        access_token=access_token,
    )


def refreshed(changes: Changes, issuer: str = ISSUER, subject: str = "704e-1") -> Act:
    return lambda: verify_refreshed(
        signed({"nonce": MISSING, **changes}),
        keys(),
        provider=provider(),
        metadata=METADATA,
        issuer=issuer,
        subject=subject,
        now=NOW,
    )


def userinfo(body: object, content_type: str = "application/json", wanted: str = "auto") -> Act:
    """``body`` is JSON, bytes as they are, or makes a JWT when it is called."""

    def act() -> object:
        given = body() if callable(body) else body
        raw = given.encode() if isinstance(given, str) else given
        return read_userinfo(
            200,
            content_type,
            raw if isinstance(raw, bytes) else json.dumps(raw).encode(),
            keys=keys(),
            provider=provider(userinfo_format=wanted),
            metadata=METADATA,
            subject="704e-1",
            now=NOW,
        )

    return act


def returned(
    *params: tuple[str, str], mine: bool = True, announced: bool = False, after: float = 5
) -> Act:
    """The browser comes back with a code, the state and ``params``."""
    metadata = dataclasses.replace(METADATA, iss_parameter=announced)
    names = {name for name, _ in params}
    usual = [(k, v) for k, v in (("code", "c0de"), ("state", STATE)) if k not in names]
    attempt = ATTEMPT if mine else None
    now = ATTEMPT.created_at + after
    return lambda: check_callback([*usual, *params], attempt, metadata, now, 600)


def discovered(changes: Changes) -> Act:
    document = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/jwks",
    }
    return lambda: read_metadata(changed(document, changes), provider())


def logout_token(changes: Changes | None = None, **header: object) -> Act:
    claims = changed(LOGOUT_CLAIMS, changes or {})
    typed = {"typ": "logout+jwt", **header}
    return logout_token_of(lambda: token(claims, rsa_key(), "RS256", **typed))


def logout_token_of(make: Callable[[], str]) -> Act:
    return lambda: verify_logout_token(
        make(), keys(), provider=provider(), metadata=METADATA, now=NOW
    )


def access_token(changes: Changes | None = None, **header: object) -> Act:
    claims = changed(ACCESS_CLAIMS, changes or {})
    return access_token_of(lambda: token(claims, rsa_key(), "RS256", **header))


def access_token_of(make: Callable[[], str], **options: object) -> Act:
    return lambda: verify_access_token(
        make(),
        keys(),
        provider=provider(**options),
        metadata=METADATA,
        subject="704e-1",
        now=NOW,
    )


def told(claims: Changes | None = None, **parts: object) -> Told:
    """A sign-in whose ID token says ``claims`` of 704e-1."""
    defaults: dict[str, object] = {"issuer": ISSUER}
    whole = {"id_token": changed(ID_CLAIMS, claims or {}), **defaults, **parts}
    return Told(**whole)  # type: ignore[arg-type]


def who(
    claims: Changes,
    mapping: Changes | None = None,
    table: RoleTable | None = None,
    options: Changes | None = None,
    **parts: object,
) -> Person:
    """Who ``told(claims, **parts)`` is, to a provider with the claims map and the options."""
    settings = provider(claims=dict(mapping or {}), name="idp", **(options or {}))
    return person(told(claims, **parts), settings, table or RoleTable())


def copied(claims: Changes) -> Act:
    """``claims`` become a person; whatever is kept of them has no control characters."""

    def act() -> Person:
        found = person(told(claims), provider(claims={"extra": list(claims)}), RoleTable())
        texts = [v for v in _values(dataclasses.asdict(found.identity)) if isinstance(v, str)]
        bad = [text for text in texts if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text)]
        if bad:
            raise ValueError(bad)
        return found

    return act


def _values(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _values(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _values(item)]
    return [value]
