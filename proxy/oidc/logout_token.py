"""What a strict relying party believes of a logout token (Back-Channel Logout 1.0 section 2.6).

Whoever holds one ends sessions, so that it is judged like an ID token, and each is good once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.config.provider import Provider
from proxy.crypto.jwt import JwtInvalid, UnknownKey, VerificationKeys
from proxy.errors import BadRequest, Reason
from proxy.oidc.facts import ClaimRefused, Claims, check_subject, check_times
from proxy.oidc.idtoken import verified_jwt
from proxy.oidc.metadata import Metadata

EVENT = "http://schemas.openid.net/event/backchannel-logout"

# Providers of before the errata send plain JWT (Glewlwyd does); no other kind of token passes.
_TYPS = frozenset({"JWT", "LOGOUT+JWT"})
_JTI = re.compile(r"[ -~]{1,255}")
_SID = re.compile(r"[ -~]{1,1024}")
_WITHOUT_EXP = 120.0
# seconds: nobody repeats a logout for longer, and what has been seen is remembered until then
_OLDEST = 86400.0


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """Whom the provider signs out: one session (``sid``), or a person's (``subject``) every one.

    One of the two may be empty, never both. ``until`` (Unix seconds) is when the token can no
    longer be used: ``jti`` must be remembered that long.
    """

    issuer: str
    subject: str
    sid: str
    jti: str
    until: float


def verify_logout_token(
    token: str, keys: VerificationKeys, *, provider: Provider, metadata: Metadata, now: float
) -> LogoutRequest:
    """What a logout token asks for that the provider made for us and that is still good.

    Unknown claims are ignored. Whether its jti has been seen before is the caller's to ask.
    Raises BadRequest LOGOUT_REQUEST_INVALID, and crypto's UnknownKey: then newer keys may help.
    """
    try:
        algorithms = metadata.id_token_algorithms or provider.id_token_algorithms
        verified = verified_jwt(
            token, keys, algorithms, provider=provider, metadata=metadata, typs=_TYPS
        )
        claims = verified.claims
        _check_event(claims)
        until = _usable_until(claims, now, provider.clock_skew)
        subject = check_subject(claims) if "sub" in claims else ""
        sid = _printable(claims, "sid", _SID) if "sid" in claims else ""
        if not subject and not sid:
            raise ClaimRefused("neither sub nor sid says who it is about")
        jti = _printable(claims, "jti", _JTI)
    except UnknownKey:
        raise
    except (JwtInvalid, ClaimRefused) as exc:
        raise BadRequest(Reason.LOGOUT_REQUEST_INVALID, str(exc)) from None
    return LogoutRequest(str(claims["iss"]), subject, sid, jti, until)


def _check_event(claims: Claims) -> None:
    """It is a logout token; an ID token, which has a nonce, never is (section 2.4)."""
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise ClaimRefused("events does not hold the logout event")
    if "nonce" in claims:
        raise ClaimRefused("it has a nonce")


def _usable_until(claims: Claims, now: float, skew: float) -> float:
    """When it is over: by exp, or else soon after iat; never more than a day after that."""
    check_times(claims, now, skew, required=("iat",))
    iat, exp = claims["iat"], claims.get("exp")
    assert isinstance(iat, int | float)  # noqa: S101  # as check_times has made sure
    over = iat + _WITHOUT_EXP
    if isinstance(exp, int | float):
        over = min(exp, iat + _OLDEST) + skew
    if now >= over:
        raise ClaimRefused("iat is too long ago")
    return over


def _printable(claims: Claims, name: str, pattern: re.Pattern[str]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ClaimRefused(f"{name} is missing, too long, or not printable ASCII")
    return value
