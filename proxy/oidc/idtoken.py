"""What a strict relying party believes of an ID token (OpenID Connect Core 3.1.3.7).

The library behind ``crypto.jwt`` proves the signature; every other decision is taken here.
Stricter than the specification: an unknown audience needs ``azp``, ``typ`` must be JWT.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from proxy.config.settings import Provider
from proxy.crypto.jwt import JwtInvalid, UnknownKey, VerificationKeys, Verified, verify
from proxy.errors import LoginError, Reason
from proxy.oidc.metadata import Metadata

Claims = Mapping[str, object]

# the largest integer that every JSON reader keeps exact (RFC 8259 section 6)
_LATEST = 2**53
# at most 255 ASCII characters (Core section 2); no spaces at the ends, which headers lose
_SUBJECT = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")
_HASHES: Mapping[str, str] = MappingProxyType(
    {"256": "sha256", "384": "sha384", "512": "sha512", "DSA": "sha512"}
)
_PLAIN = frozenset({"JWT"})


class ClaimRefused(Exception):
    """A claim that must not be believed; the message is for the log."""


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
    ID_TOKEN_INVALID or NONCE_MISMATCH, and crypto's UnknownKey: then newer keys may help.
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
            _number(claims["auth_time"], "auth_time", least=0)
    except UnknownKey:
        raise
    except (JwtInvalid, ClaimRefused) as exc:
        raise LoginError(Reason.ID_TOKEN_INVALID, str(exc)) from None
    return claims


def verify_refreshed(
    token: str,
    keys: VerificationKeys,
    *,
    provider: Provider,
    metadata: Metadata,
    subject: str,
    now: float,
    access_token: str = "",
) -> Claims:
    """The claims of an ID token that came with a refresh: same issuer, same ``subject``.

    It carries no nonce of ours (OpenID Connect Core section 12.2). Raises as
    ``verify_id_token`` does.
    """
    claims = _believed(token, keys, provider, metadata, now, access_token)
    if claims["sub"] != subject:
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
    """A JWT that the provider signed for us: signature, typ, iss and aud are checked, no more.

    ``typs`` in capitals; a token without a typ counts as one of JWT. Raises JwtInvalid,
    UnknownKey or ClaimRefused.
    """
    secret = provider.client_secret.reveal().encode() or None
    verified = verify(token, keys, algorithms, secret=secret)
    typ = verified.header.get("typ", "JWT")
    # logout and access tokens say so in typ: they must not pass as something else (RFC 8725 3.11)
    if not isinstance(typ, str) or typ.upper() not in typs:
        raise ClaimRefused(f"typ is {_show(typ)}")
    issuer = verified.claims.get("iss")
    if not metadata.issuer or issuer != metadata.issuer:
        raise ClaimRefused(f"iss is {_show(issuer)}")
    check_audience(verified.claims, provider.client_id)
    return verified


def check_audience(claims: Claims, client_id: str) -> None:
    """The token is for us; further audiences only where azp says that it is. ClaimRefused."""
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    if not client_id or not all(isinstance(one, str) for one in audiences):
        raise ClaimRefused("aud is neither a text nor a list of texts")
    if client_id not in audiences:
        raise ClaimRefused(f"aud is {_show(given)}")
    if "azp" in claims:
        if claims["azp"] != client_id:
            raise ClaimRefused(f"azp is {_show(claims['azp'])}")
    elif any(one != client_id for one in audiences):
        raise ClaimRefused("aud names others too, and there is no azp")


def check_times(claims: Claims, now: float, skew: float, *, required: tuple[str, ...] = ()) -> None:
    """exp, iat and nbf, each where present, allow ``now``; ``skew`` seconds of grace.

    Raises ClaimRefused, also when one of ``required`` is missing.
    """
    rules: tuple[tuple[str, Callable[[float], bool], str], ...] = (
        ("exp", lambda t: now < t + skew, "is over"),
        ("iat", lambda t: t <= now + skew, "is in the future"),
        ("nbf", lambda t: t <= now + skew, "is in the future"),
    )
    for name, holds, words in rules:
        if name not in claims:
            if name in required:
                raise ClaimRefused(f"{name} is missing")
        elif not holds(_number(claims[name], name)):
            raise ClaimRefused(f"{name} {words}")


def check_subject(claims: Claims) -> str:
    """The sub, 1 to 255 printable ASCII characters. Raises ClaimRefused."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise ClaimRefused("sub is not 1 to 255 printable ASCII characters")
    return subject


def _number(value: object, name: str, least: float = 1e-9) -> float:
    """A NumericDate, which may have a fraction (RFC 7519 section 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimRefused(f"{name} is not a number")
    if not least <= value <= _LATEST:  # false for NaN, too
        raise ClaimRefused(f"{name} is not a time")
    return float(value)


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


def _show(value: object) -> str:
    return ascii(value)[:200]
