"""What is believed of a bearer token that an issuer has signed: an access token, or an ID token.

RFC 9068 section 4, RFC 8725, OpenID Connect Core section 3.1.3.7. An access token is for whoever
its aud names, whichever client it was given to (azp, client_id). An ID token says who signed in
at a client: it counts for that client alone, so that the client must be one of the audiences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final

from proxy.config.provider import Provider
from proxy.crypto.jwk import decode_base64url
from proxy.crypto.jwt import JwtInvalid, UnknownKey, VerificationKeys
from proxy.crypto.strict_json import read_object
from proxy.errors import BearerRefused, Reason
from proxy.oidc.facts import ClaimRefused, Claims, check_number, check_subject, check_times, shown
from proxy.oidc.idtoken import signed_jwt
from proxy.oidc.issuer import TenantRefused
from proxy.oidc.metadata import Metadata

LONGEST: Final = 32 * 1024
"""Characters of a token; a header of requests holds no more."""
_ACCESS: Final = frozenset({"AT+JWT", "APPLICATION/AT+JWT"})
_TYPS: Final = _ACCESS | {"JWT"}
_OF_ID_TOKENS: Final = ("nonce", "at_hash", "c_hash", "s_hash")
# What else an issuer signs with the same keys says so in a claim: Keycloak's typ, Hydra's and
# Cognito's token_use. A security event token (of which a logout token is one) has events.
_OTHER_KINDS: Final = frozenset({"refresh", "refresh_token", "offline", "logout"})


@dataclass(frozen=True, slots=True)
class Terms:
    """A token must be for one of ``audiences`` and have all of ``scopes``."""

    audiences: tuple[str, ...]
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Believed:
    """A token that is good: its own issuer, its claims, and its scopes. It must not be used from
    ``expires_at`` on (Unix seconds, the tolerance included)."""

    issuer: str
    claims: Claims = field(repr=False)
    expires_at: float
    scopes: tuple[str, ...]


def claimed_issuer(token: str) -> str:
    """The iss that a JWT names, unverified: it only tells who should judge it. Else ``""``."""
    parts = token.split(".", 3)
    if len(token) > LONGEST or len(parts) != 3:
        return ""
    try:
        issuer = read_object(decode_base64url(parts[1]), LONGEST).get("iss")
    except ValueError:
        return ""
    return issuer if isinstance(issuer, str) else ""


def verify_bearer(
    token: str,
    keys: VerificationKeys,
    *,
    provider: Provider,
    metadata: Metadata,
    terms: Terms,
    now: float,
) -> Believed:
    """A JWT of this issuer that is good here, now. ``provider``: its settings, of which a shared
    secret never counts: whoever knows it could make tokens.

    Raises BearerRefused, and crypto's UnknownKey: then newer keys may help.
    """
    if len(token) > LONGEST:
        raise BearerRefused(f"the token is larger than {LONGEST} characters")
    algorithms = [name for name in provider.id_token_algorithms if name[:2] != "HS"]
    try:
        verified = signed_jwt(
            token, keys, algorithms, provider=provider, metadata=metadata, typs=_TYPS
        )
        is_access = str(verified.header.get("typ", "")).upper() in _ACCESS
        check_times(verified.claims, now, provider.clock_skew, required=("exp",))
        return believed(verified.claims, terms, provider.clock_skew, is_access=is_access)
    except UnknownKey:
        raise
    except TenantRefused as exc:
        raise BearerRefused(str(exc), reason=Reason.TENANT_NOT_ALLOWED) from None
    except (JwtInvalid, ClaimRefused) as exc:
        raise BearerRefused(str(exc)) from None


def believed(claims: Claims, terms: Terms, skew: float, *, is_access: bool) -> Believed:
    """What it says of itself, once issuer and times are checked. ``is_access``: no ID token.

    Raises ClaimRefused, and BearerRefused where nothing but a scope is missing.
    """
    _check_kind(claims)
    _check_audience(claims, terms.audiences, is_access=is_access or claims.get("typ") == "Bearer")
    check_subject(claims)
    end = check_number(claims["exp"], "exp") + skew if "exp" in claims else inf
    scopes = scopes_of(claims)
    if missing := [scope for scope in terms.scopes if scope not in scopes]:
        raise BearerRefused(
            f"it lacks the scope {shown(' '.join(missing))}",
            "insufficient_scope",
            Reason.SCOPE_MISSING,
            status=403,
            scope=" ".join(terms.scopes),
        )
    return Believed(str(claims["iss"]), claims, end, scopes)


def scopes_of(claims: Claims) -> tuple[str, ...]:
    """``scope`` (RFC 9068 section 2.2.3) and ``scp`` (Entra, Okta), as a text or a list."""
    found: dict[str, None] = {}
    for value in (claims.get("scope"), claims.get("scp")):
        items = value.split(" ") if isinstance(value, str) else value
        for item in items if isinstance(items, list) else ():
            if isinstance(item, str) and item and " " not in item:
                found[item] = None
    return tuple(found)


def _check_kind(claims: Claims) -> None:
    if "cnf" in claims:
        # RFC 9449, RFC 8705: it is for who proves a key, and that proof stays behind this proxy
        raise ClaimRefused("it is bound to a key (cnf): it is no bearer token")
    if "events" in claims:
        raise ClaimRefused("it is a security event token (events)")
    for name in ("typ", "token_use"):
        kind = claims.get(name)
        if isinstance(kind, str) and kind.lower() in _OTHER_KINDS:
            raise ClaimRefused(f"{name} is {shown(kind)}")


def _check_audience(claims: Claims, audiences: tuple[str, ...], *, is_access: bool) -> None:
    given = claims.get("aud")
    named = given if isinstance(given, list) else [given]
    if not named or not all(isinstance(one, str) and one for one in named):
        raise ClaimRefused("aud is neither a text nor a list of texts")
    if not any(one in audiences for one in named):
        raise ClaimRefused(f"aud is {shown(given)}")
    if is_access or not _is_id_token(claims):
        return
    if "azp" in claims:
        if claims["azp"] not in audiences:
            raise ClaimRefused(f"an ID token whose azp is {shown(claims['azp'])}")
    elif any(one not in audiences for one in named):
        raise ClaimRefused("an ID token whose aud names others too, without azp")


def _is_id_token(claims: Mapping[str, object]) -> bool:
    """Access tokens have no typ of their own at many providers: ID tokens are told by these."""
    if claims.get("typ") == "ID" or claims.get("token_use") == "id":
        return True
    return any(name in claims for name in _OF_ID_TOKENS)
