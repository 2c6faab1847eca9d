"""The code exchanged for tokens: the request to send, and what its answer holds.

RFC 6749 sections 4.1.3, 5.1, 5.2 and 6; RFC 7636 section 4.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_object
from proxy.errors import ProviderError, Reason
from proxy.model import Tokens
from proxy.oidc.attempt import Callback
from proxy.oidc.client_auth import NO_PROOF, Proof, TokenRequest, authenticated
from proxy.oidc.metadata import Metadata, pkce_used

__all__ = [
    "TokenRequest",
    "pkce_used",
    "read_tokens",
    "refresh_is_over",
    "refresh_request",
    "token_request",
]

LARGEST_ANSWER = 64 * 1024
_NUMBER = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,9})?")
_LONGEST_LIFE = 10 * 365 * 86400
_PKCE_HINT = re.compile(r"pkce|code[ _-]?verifier|code[ _-]?challenge", re.IGNORECASE)


def token_request(
    metadata: Metadata,
    provider: Provider,
    callback: Callback,
    redirect_uri: str,
    proof: Proof = NO_PROOF,
) -> TokenRequest:
    """The request that exchanges the callback's code; ``redirect_uri`` as in the attempt."""
    form = {
        "grant_type": "authorization_code",
        "code": callback.code,
        "redirect_uri": redirect_uri,
    }
    if pkce_used(metadata, provider):
        form["code_verifier"] = callback.attempt.verifier
    return authenticated(metadata, provider, form, metadata.token_endpoint, proof)


def refresh_request(
    metadata: Metadata, provider: Provider, refresh_token: str, proof: Proof = NO_PROOF
) -> TokenRequest:
    """The request for new tokens (RFC 6749 section 6); the scope stays as it was granted."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return authenticated(metadata, provider, form, metadata.token_endpoint, proof)


def refresh_is_over(status: int, body: bytes) -> bool:
    """Did the provider say that this refresh token is no good (``invalid_grant``)?

    Some say so with another status than 400, and Glewlwyd with that status alone. Anything else
    that is not 200 is a fault, which ends no session.
    """
    if not body.strip():
        return status == 400
    try:
        return read_object(body, LARGEST_ANSWER).get("error") == "invalid_grant"
    except ValueError:
        return False


def read_tokens(status: int, body: bytes, now: float) -> Tokens:
    """The tokens in the token endpoint's answer.

    ``id_token`` is empty when the answer holds none; ``verify_id_token`` then refuses.
    Raises ProviderError: TOKEN_REFUSED when the provider says no, TOKEN_RESPONSE_INVALID when
    its yes cannot be used.
    """
    try:
        answer = read_object(body, LARGEST_ANSWER)
    except ValueError as exc:
        if status != 200:
            raise ProviderError(Reason.TOKEN_REFUSED, f"status {status}, {exc}") from None
        raise _invalid(f"the answer is {exc}") from None
    if status != 200 or answer.get("error") is not None:
        raise ProviderError(Reason.TOKEN_REFUSED, f"status {status}, {_said(answer)}")
    kind = answer.get("token_type")
    if kind is not None and not (isinstance(kind, str) and kind.lower() == "bearer"):
        raise _invalid("token_type is not Bearer")
    access_token = _optional(answer, "access_token")
    if not access_token:
        raise _invalid(f"no access_token; the members are {_names(answer)}")
    life = _seconds(answer.get("expires_in"))
    return Tokens(
        id_token=_optional(answer, "id_token"),
        access_token=access_token,
        refresh_token=_optional(answer, "refresh_token"),
        expires_at=None if life is None else now + life,
    )


def _optional(answer: Mapping[str, object], name: str) -> str:
    value = answer.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"{name} is not a text")
    return value


def _seconds(value: object) -> float | None:
    """A life that can be used, else ``None``: expires_in is only a hint."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value <= _LONGEST_LIFE else None


def _said(answer: Mapping[str, object]) -> str:
    """What the provider said of its refusal: its two words for that and nothing else."""
    error, description = answer.get("error"), answer.get("error_description")
    said = f"error={ascii(error)[:80]} description={ascii(description)[:200]}"
    hint = " (see the option provider.pkce)" if _PKCE_HINT.search(said) else ""
    return said + hint


def _names(answer: Mapping[str, object]) -> str:
    return ascii(sorted(answer))[:200]


def _invalid(detail: str) -> ProviderError:
    return ProviderError(Reason.TOKEN_RESPONSE_INVALID, detail)
