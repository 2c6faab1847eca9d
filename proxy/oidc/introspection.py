"""Asking an issuer about a token that says nothing by itself (RFC 7662)."""

from __future__ import annotations

from typing import Final

from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_object
from proxy.errors import BearerRefused, ProviderError, Reason
from proxy.oidc.bearer import Believed, Terms, believed
from proxy.oidc.client_auth import NO_PROOF, Proof, TokenRequest, authenticated
from proxy.oidc.facts import ClaimRefused, Claims, check_times, shown
from proxy.oidc.issuer import TenantRefused, accepts, check_tenant
from proxy.oidc.metadata import Metadata
from proxy.oidc.tokens import LARGEST_ANSWER

_BEARER: Final = frozenset({"bearer", "access_token"})


def introspection_request(
    metadata: Metadata, provider: Provider, token: str, proof: Proof = NO_PROOF
) -> TokenRequest:
    """The question (section 2.1), as from our client there."""
    form = {"token": token, "token_type_hint": "access_token"}
    return authenticated(metadata, provider, form, metadata.introspection_endpoint, proof)


def read_introspection(
    status: int, body: bytes, *, provider: Provider, metadata: Metadata, terms: Terms, now: float
) -> Believed | None:
    """The answer (section 2.2); None: there is no such token, or it is over.

    Stricter than the specification: aud must be there, as what is good elsewhere is not good
    here, and sub. Raises BearerRefused for a token that is good, but not for this, and
    ProviderError for what is no answer.
    """
    claims = _answer(status, body)
    if claims is None:
        return None
    try:
        return _believed(claims, provider, metadata, terms, now)
    except TenantRefused as exc:
        raise BearerRefused(str(exc), reason=Reason.TENANT_NOT_ALLOWED) from None
    except ClaimRefused as exc:
        raise BearerRefused(str(exc)) from None


def _answer(status: int, body: bytes) -> dict[str, object] | None:
    if status != 200:
        raise _unusable(f"status {status}")
    try:
        answer = read_object(body, LARGEST_ANSWER)
    except ValueError as exc:
        raise _unusable(str(exc)) from None
    active = answer.pop("active", None)
    if not isinstance(active, bool):
        raise _unusable(f"active is {shown(active)}")
    # some write null where there is nothing
    return {name: value for name, value in answer.items() if value is not None} if active else None


def _believed(
    claims: dict[str, object], provider: Provider, metadata: Metadata, terms: Terms, now: float
) -> Believed:
    claims.setdefault("iss", metadata.issuer)
    accepts(metadata.issuer, claims)
    check_tenant(metadata.issuer, claims, provider.entra)
    check_times(claims, now, provider.clock_skew)
    _check_type(claims)
    return believed(claims, terms, provider.clock_skew, is_access=True)


def _check_type(claims: Claims) -> None:
    """It is an access token that whoever has it may use: no refresh token, nothing bound."""
    if "token_type" not in claims:
        return
    kind = claims["token_type"]
    if not isinstance(kind, str) or kind.lower() not in _BEARER:
        raise ClaimRefused(f"token_type is {shown(kind)}")


def _unusable(detail: str) -> ProviderError:
    return ProviderError(Reason.PROVIDER_ERROR, f"introspect: {detail}")
