"""The userinfo answer: read, believed or not, and laid over the ID token's claims.

OpenID Connect Core section 5.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from proxy.config.provider import Provider
from proxy.crypto.jwt import JwtInvalid, UnknownKey, VerificationKeys
from proxy.crypto.strict_json import read_object
from proxy.errors import LoginError, Reason
from proxy.oidc.facts import ClaimRefused, Claims, check_times
from proxy.oidc.idtoken import verified_jwt
from proxy.oidc.metadata import Metadata

LARGEST_ANSWER = 2**20
_COMPACT = re.compile(rb"[A-Za-z0-9_=-]+(?:\.[A-Za-z0-9_=-]*){2,4}")

#: Facts about the sign-in itself: always the ID token's, whatever userinfo says.
PROTOCOL_CLAIMS = frozenset(
    (
        *("iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "sid"),
        *("acr", "amr", "auth_time", "at_hash", "c_hash"),
    )
)
#: Never claims, wherever they come from.
BEARER_FIELDS = frozenset({"access_token", "id_token", "refresh_token"})


@dataclass(frozen=True, slots=True)
class Userinfo:
    """What userinfo gave: claims, or none and the ``problem`` (words for the log)."""

    claims: Claims = field(default_factory=lambda: MappingProxyType({}), repr=False)
    problem: str = ""


def read_userinfo(
    status: int,
    content_type: str,
    body: bytes,
    *,
    keys: VerificationKeys,
    provider: Provider,
    metadata: Metadata,
    subject: str,
    now: float,
) -> Userinfo:
    """The claims of an answer about ``subject``, the ID token's sub.

    An answer that says nothing (an error, no JSON, null, empty) is a ``problem`` that the ID
    token may make up for. One that says something which cannot be believed raises LoginError:
    USERINFO_INVALID for a bad signature or the wrong format, USERINFO_SUBJECT_MISMATCH for
    someone else's claims (Core 5.3.2). UnknownKey passes through: newer keys may help.
    """
    if status != 200:
        return Userinfo(problem=f"status {status}")
    text = body.strip()
    if not text or text == b"null":
        return Userinfo(problem="empty")
    signed = bool(_COMPACT.fullmatch(text))
    _check_format(signed, content_type, provider.userinfo_format)
    if signed:
        claims = _read_jwt(text.decode("ascii"), keys, provider, metadata, now)
    else:
        try:
            claims = read_object(body, LARGEST_ANSWER)
        except ValueError as exc:
            return Userinfo(problem=str(exc))
    if not claims:
        return Userinfo(problem="empty")
    if claims.get("sub") != subject:
        raise LoginError(Reason.USERINFO_SUBJECT_MISMATCH)
    return Userinfo(claims)


def _check_format(signed: bool, content_type: str, wanted: str) -> None:
    """The shape is what counts; a shape that the type or the settings rule out is refused."""
    announced = content_type.partition(";")[0].strip().lower()
    if not signed and (wanted == "jwt" or announced == "application/jwt"):
        raise _invalid("a signed JWT was expected")
    if signed and wanted == "json":
        raise _invalid("a JWT came although provider.userinfo_format is json")


def _read_jwt(
    token: str, keys: VerificationKeys, provider: Provider, metadata: Metadata, now: float
) -> Claims:
    if token.count(".") == 4:
        raise _invalid("it is encrypted, which is not supported")
    try:
        algorithms = provider.id_token_algorithms
        verified = verified_jwt(token, keys, algorithms, provider=provider, metadata=metadata)
        check_times(verified.claims, now, provider.clock_skew)
    except UnknownKey:
        raise
    except (JwtInvalid, ClaimRefused) as exc:
        raise _invalid(str(exc)) from None
    return verified.claims


def merge(
    id_claims: Claims,
    userinfo: Userinfo | None,
    source: Literal["merge", "userinfo", "id_token"],
) -> dict[str, object]:
    """The claims to believe; ``userinfo`` is ``None`` when it was not asked.

    userinfo wins, except for the protocol's own claims, which are always the ID token's.
    Raises LoginError NO_CLAIMS (502) when ``source`` has nothing: userinfo alone was wanted
    and gave nothing, or userinfo failed and the ID token holds no more than the protocol's.
    """
    # Core 5.3.2: what is not known should be left out, not null.
    said = userinfo.claims if userinfo else {}
    told = {name: value for name, value in said.items() if value is not None}
    facts = {k: v for k, v in id_claims.items() if k in PROTOCOL_CLAIMS}
    own = of_the_person(id_claims)
    match source:
        case "userinfo":
            own, nothing = {}, not told
        case "merge":
            nothing = userinfo is not None and not told and not own
        case "id_token":
            told, nothing = {}, not id_claims
    if nothing:
        problem = userinfo.problem if userinfo else "not asked"
        raise LoginError(Reason.NO_CLAIMS, f"source {source}, userinfo: {problem}", status=502)
    _keep_pair(own, told)
    return facts | own | of_the_person(told)


def _keep_pair(own: dict[str, object], told: dict[str, object]) -> None:
    """``email_verified`` speaks of the address it came with, and of no other (Core 5.7)."""
    if "email" not in told:
        if told.pop("email_verified", True) not in (True, "true"):
            own["email_verified"] = False
    elif told["email"] != own.get("email"):
        own.pop("email_verified", None)


def of_the_person(claims: Claims) -> dict[str, object]:
    """Without the protocol's own claims and without tokens."""
    hidden = PROTOCOL_CLAIMS | BEARER_FIELDS
    return {name: value for name, value in claims.items() if name not in hidden}


def _invalid(detail: str) -> LoginError:
    return LoginError(Reason.USERINFO_INVALID, detail)
