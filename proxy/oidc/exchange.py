"""A person's access token exchanged for one that an upstream takes (RFC 8693)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from proxy.config.programs import Exchange
from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_object
from proxy.errors import ProviderError, Reason
from proxy.oidc.client_auth import NO_PROOF, Proof, TokenRequest, authenticated
from proxy.oidc.metadata import Metadata
from proxy.oidc.tokens import LARGEST_ANSWER

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
_ISSUED: Final = frozenset({ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt"})
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 section 2.1: what can follow "Bearer"."""
_LONGEST: Final = 16 * 1024
_LONGEST_LIFE: Final = 10 * 365 * 86400
_CODE: Final = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A bearer token for an upstream; ``expires_at`` in Unix seconds, None where not told."""

    token: str = field(repr=False)
    expires_at: float | None


def exchange_request(
    metadata: Metadata,
    provider: Provider,
    subject_token: str,
    wanted: Exchange,
    proof: Proof = NO_PROOF,
) -> TokenRequest:
    """The request of section 2.1. ``subject_token`` is an access token of this provider's."""
    form = {
        "grant_type": GRANT_TYPE,
        "subject_token": subject_token,
        "subject_token_type": ACCESS_TOKEN,
        "requested_token_type": ACCESS_TOKEN,
        "audience": wanted.audience,
        "resource": wanted.resource,
        "scope": wanted.scope,
    }
    given = {name: value for name, value in form.items() if value}
    return authenticated(metadata, provider, given, metadata.token_endpoint, proof)


def read_exchanged(status: int, body: bytes, now: float) -> Exchanged:
    """The token in the answer of section 2.2.

    Raises ProviderError: TOKEN_REFUSED when the provider says no, PROVIDER_UNREACHABLE (503) when
    it says that it cannot now, TOKEN_RESPONSE_INVALID when its yes cannot be used. No detail
    repeats what it said of its refusal but for the code: it may quote the token.
    """
    if status in (408, 429) or status >= 500:
        raise ProviderError(Reason.PROVIDER_UNREACHABLE, f"exchange: status {status}", status=503)
    try:
        answer = read_object(body, LARGEST_ANSWER)
    except ValueError as exc:
        if status != 200:
            raise _refused(status, "") from None
        raise _invalid(f"the answer is {exc}") from None
    if status != 200 or answer.get("error") is not None:
        raise _refused(status, answer.get("error"))
    return Exchanged(_token(answer), _end(answer, now))


def _token(answer: Mapping[str, object]) -> str:
    """One that may be used as a bearer token, of a type that was asked for."""
    kind, issued = answer.get("token_type"), answer.get("issued_token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _invalid("token_type is not Bearer")
    if not isinstance(issued, str) or issued not in _ISSUED:
        raise _invalid("issued_token_type is none that was asked for")
    token = answer.get("access_token")
    if not isinstance(token, str) or len(token) > _LONGEST or not _TOKEN.fullmatch(token):
        raise _invalid("access_token is missing, or is no bearer token")
    return token


def _end(answer: Mapping[str, object], now: float) -> float | None:
    life = answer.get("expires_in")
    if life is None:
        return None
    if isinstance(life, bool) or not isinstance(life, int | float):
        raise _invalid("expires_in is not a number")
    if not 0 < life <= _LONGEST_LIFE:
        raise _invalid("expires_in is no life of a token")
    return now + float(life)


def _refused(status: int, code: object) -> ProviderError:
    said = code if isinstance(code, str) and _CODE.fullmatch(code) else "not told"
    return ProviderError(Reason.TOKEN_REFUSED, f"exchange: status {status}, error {said}")


def _invalid(detail: str) -> ProviderError:
    return ProviderError(Reason.TOKEN_RESPONSE_INVALID, f"exchange: {detail}")
