"""What may be read from an access token that is a JWT (RFC 9068): its claims, once proven.

It was made for another audience, so that aud is not ours; that it is about our person and was
given to us is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from proxy.config.provider import Provider
from proxy.crypto.jwk import decode_base64url
from proxy.crypto.jwt import JwtInvalid, UnknownKey, VerificationKeys
from proxy.errors import LoginError, Reason
from proxy.oidc.facts import ClaimRefused, Claims, check_times, shown
from proxy.oidc.idtoken import signed_jwt
from proxy.oidc.metadata import Metadata

_TYPS = frozenset({"JWT", "AT+JWT", "APPLICATION/AT+JWT"})
_NOTHING: Mapping[str, object] = MappingProxyType({})


def verify_access_token(
    token: str,
    keys: VerificationKeys,
    *,
    provider: Provider,
    metadata: Metadata,
    subject: str,
    now: float,
) -> Claims:
    """The claims of a JWT that the provider signed, about ``subject`` (the ID token's sub).

    A token that is no JWT, or an encrypted one, is not ours to read: it says nothing. Raises
    LoginError ACCESS_TOKEN_INVALID, and crypto's UnknownKey: then newer keys may help.
    """
    if not _is_signed(token):
        return _NOTHING
    try:
        algorithms = provider.id_token_algorithms
        claims = signed_jwt(
            token, keys, algorithms, provider=provider, metadata=metadata, typs=_TYPS
        ).claims
        check_times(claims, now, provider.clock_skew, required=("exp",))
        _check_whose(claims, subject, provider.client_id)
    except UnknownKey:
        raise
    except (JwtInvalid, ClaimRefused) as exc:
        raise LoginError(Reason.ACCESS_TOKEN_INVALID, str(exc)) from None
    return claims


def _check_whose(claims: Claims, subject: str, client_id: str) -> None:
    """It is the person's, given to us: where sub, azp and client_id are there, they say so."""
    if "sub" in claims and (not subject or claims["sub"] != subject):
        raise ClaimRefused("sub is not that of the ID token")
    for name in ("azp", "client_id"):
        if name in claims and claims[name] != client_id:
            raise ClaimRefused(f"{name} is {shown(claims[name])}")


def _is_signed(token: str) -> bool:
    """It has the shape of a JWS: three parts, the first of which is an object (RFC 7515)."""
    parts = token.split(".")
    try:
        return len(parts) == 3 and decode_base64url(parts[0])[:1] == b"{"
    except ValueError:
        return False
