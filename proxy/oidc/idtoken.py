"""What a strict relying party believes of an ID token (OpenID Connect Core 3.1.3.7).

The library behind ``crypto.jwt`` proves the signature; every other decision is taken here.
Stricter than the specification: an unknown audience needs ``azp``, ``typ`` must be JWT.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping
from types import MappingProxyType

from proxy.config.provider import Provider
from proxy.crypto.jwt import JwtInvalid, UnknownKey, VerificationKeys, Verified, verify
from proxy.errors import LoginError, Reason
from proxy.oidc.facts import (
    ClaimRefused,
    Claims,
    check_audience,
    check_number,
    check_subject,
    check_times,
    shown,
)
from proxy.oidc.issuer import TenantRefused, accepts, check_tenant
from proxy.oidc.metadata import Metadata

_HASHES: Mapping[str, str] = MappingProxyType(
    {"256": "sha256", "384": "sha384", "512": "sha512", "DSA": "sha512"}
)
_PLAIN = frozenset({"JWT"})


def verify_id_token(
    token: str,
    keys: VerificationKeys,
    *,
    provider: Provider,
    metadata: Metadata,
    nonce: str,
    now: float,
    access_token: str = "",
) -> Claims:
    """The claims of an ID token that was issued for us, in this attempt, and is still good.

    ``nonce`` is the attempt's; ``access_token`` came in the same answer and must match
    ``at_hash`` where the token has one. Raises LoginError with ID_TOKEN_MISSING,
    ID_TOKEN_INVALID, TENANT_NOT_ALLOWED or NONCE_MISMATCH, and crypto's UnknownKey: then newer
    keys may help.
    """
    claims = _believed(token, keys, provider, metadata, now, access_token)
    given = claims.get("nonce")
    if not nonce or not isinstance(given, str) or not _same(given, nonce):
        raise LoginError(Reason.NONCE_MISMATCH, "missing" if given is None else "different")
    return claims


def _believed(
    token: str,
    keys: VerificationKeys,
    provider: Provider,
    metadata: Metadata,
    now: float,
    access_token: str,
) -> Claims:
    """Everything but the nonce."""
    if not token:
        raise LoginError(Reason.ID_TOKEN_MISSING, status=502)
    try:
        algorithms = metadata.id_token_algorithms or provider.id_token_algorithms
        verified = verified_jwt(token, keys, algorithms, provider=provider, metadata=metadata)
        claims = verified.claims
        check_times(claims, now, provider.clock_skew, required=("exp", "iat"))
        check_subject(claims)
        _check_at_hash(verified, access_token)
        if "auth_time" in claims:
            check_number(claims["auth_time"], "auth_time", least=0)
    except UnknownKey:
        raise
    except TenantRefused as exc:
        raise LoginError(Reason.TENANT_NOT_ALLOWED, str(exc)) from None
    except (JwtInvalid, ClaimRefused) as exc:
        raise LoginError(Reason.ID_TOKEN_INVALID, str(exc)) from None
    return claims


def verify_refreshed(
    token: str,
    keys: VerificationKeys,
    *,
    provider: Provider,
    metadata: Metadata,
    issuer: str,
    subject: str,
    now: float,
    access_token: str = "",
) -> Claims:
    """The claims of an ID token that came with a refresh: ``issuer`` and ``subject`` are the
    session's, and the token's, too.

    It carries no nonce of ours (OpenID Connect Core section 12.2). Raises as
    ``verify_id_token`` does.
    """
    claims = _believed(token, keys, provider, metadata, now, access_token)
    if not issuer or (claims["iss"], claims["sub"]) != (issuer, subject):
        raise LoginError(Reason.ID_TOKEN_INVALID, "the refreshed token is about somebody else")
    return claims


def verified_jwt(
    token: str,
    keys: VerificationKeys,
    algorithms: Collection[str],
    *,
    provider: Provider,
    metadata: Metadata,
    typs: Collection[str] = _PLAIN,
) -> Verified:
    """A JWT that the provider signed for us: as ``signed_jwt``, and aud is checked."""
    verified = signed_jwt(token, keys, algorithms, provider=provider, metadata=metadata, typs=typs)
    check_audience(verified.claims, provider.client_id)
    return verified


def signed_jwt(
    token: str,
    keys: VerificationKeys,
    algorithms: Collection[str],
    *,
    provider: Provider,
    metadata: Metadata,
    typs: Collection[str],
) -> Verified:
    """A JWT that the provider signed, for whomever: signature, typ, iss, and the tenant.

    ``typs`` in capitals; a token without a typ counts as one of JWT. Raises JwtInvalid,
    UnknownKey or ClaimRefused (of which TenantRefused is one).
    """
    secret = provider.client_secret.reveal().encode() or None
    verified = verify(token, keys, algorithms, secret=secret)
    typ = verified.header.get("typ", "JWT")
    # logout and access tokens say so in typ: they must not pass as something else (RFC 8725 3.11)
    if not isinstance(typ, str) or typ.upper() not in typs:
        raise ClaimRefused(f"typ is {shown(typ)}")
    accepts(metadata.issuer, verified.claims)
    check_tenant(metadata.issuer, verified.claims, provider.entra)
    return verified


def _check_at_hash(verified: Verified, access_token: str) -> None:
    """at_hash is the left half of the access token's hash (Core 3.1.3.6)."""
    if "at_hash" not in verified.claims:
        return
    given, algorithm = verified.claims["at_hash"], verified.header["alg"]
    name = _HASHES.get(str(algorithm)[-3:])
    if name is None or not isinstance(given, str) or not access_token:
        raise ClaimRefused("at_hash cannot be checked")
    digest = hashlib.new(name, access_token.encode("utf-8", "surrogatepass")).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
    if not _same(given, half):
        raise ClaimRefused("at_hash is not that of the access token")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )
