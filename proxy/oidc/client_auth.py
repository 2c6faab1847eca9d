"""Who we are to the provider: every way in which a client proves that it is the one.

RFC 6749 section 2.3.1 (a secret), RFC 7523 section 2.2 (a signed assertion), RFC 8705 section 2
(a TLS certificate). Token, refresh, revocation and pushed requests all do it alike.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus, urlencode

from proxy.config.provider import Provider
from proxy.crypto.jwt import Signer, shared_secret_signer
from proxy.errors import ProviderError, Reason
from proxy.oidc.metadata import Metadata, uses_tls_certificate

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE: Final = 60
"""Seconds for which an assertion of ours can be used."""
_HEADERS: Final = (
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Accept", "application/json"),
)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A POST to the token endpoint, or to another that knows its clients in the same way.

    ``headers`` and ``body`` hold secrets and are not shown.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """What an assertion is made of, for one request: ``now`` in Unix seconds, ``token`` a fresh
    random text, ``signers`` of the configured key, the preferred first; or ``assertion``, one
    that somebody else has made for us. Other methods need none of it.
    """

    now: float = 0.0
    token: str = field(default="", repr=False)
    signers: tuple[Signer, ...] = field(default=(), repr=False)
    assertion: str = field(default="", repr=False)


NO_PROOF: Final = Proof()


def auth_method(metadata: Metadata, provider: Provider) -> str:
    """The method to use; ``auto`` takes the strongest that is configured."""
    if provider.token_auth_method != "auto":
        return provider.token_auth_method
    if provider.client_key_file or provider.client_assertion_file:
        return "private_key_jwt"
    if uses_tls_certificate(provider):
        return "tls_client_auth"
    if not provider.client_secret:
        return "none"
    # a provider that lists nothing means client_secret_basic (Discovery section 3)
    if not metadata.token_auth_methods or "client_secret_basic" in metadata.token_auth_methods:
        return "client_secret_basic"
    return "client_secret_post"


def authenticated(
    metadata: Metadata,
    provider: Provider,
    form: Mapping[str, str],
    url: str,
    proof: Proof = NO_PROOF,
) -> TokenRequest:
    """``form`` for ``url``, as from this client.

    Raises ProviderError when ``proof`` lacks what the method needs.
    """
    ours: Mapping[str, str]
    headers: tuple[tuple[str, str], ...] = _HEADERS
    match auth_method(metadata, provider):
        case "client_secret_basic":
            headers, ours = (*_HEADERS, ("Authorization", _basic(provider))), {}
        case "client_secret_post":
            ours = {"client_secret": provider.client_secret.reveal()} | _named(provider)
        case "private_key_jwt":
            assertion = proof.assertion or _assertion(metadata, provider, proof, proof.signers)
            ours = _asserted(assertion) | _named(provider)
        case "client_secret_jwt":
            signers = (_secret_signer(provider),)
            ours = _asserted(_assertion(metadata, provider, proof, signers)) | _named(provider)
        case _:  # none, and tls_client_auth: the connection proves the rest
            ours = _named(provider)
    return TokenRequest(url, headers, urlencode({**form, **ours}).encode("ascii"))


def _named(provider: Provider) -> dict[str, str]:
    return {"client_id": provider.client_id}


def _basic(provider: Provider) -> str:
    # both halves are form-encoded before they are joined (RFC 6749 section 2.3.1)
    pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret.reveal())}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def _asserted(assertion: str) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


def _assertion(
    metadata: Metadata, provider: Provider, proof: Proof, signers: tuple[Signer, ...]
) -> str:
    """RFC 7523 section 3; aud is one text: an issuer in a list could be another's (audience
    injection, draft-ietf-oauth-rfc7523bis)."""
    if not signers or not proof.token:
        raise _unusable("there is no key to sign the client's assertion with")
    at_token = provider.client_assertion_audience == "token_endpoint"
    claims = {
        "iss": provider.client_id,
        "sub": provider.client_id,
        "aud": metadata.token_endpoint if at_token else metadata.issuer,
        "jti": proof.token,
        "iat": int(proof.now),
        "exp": int(proof.now) + _LIFE,
    }
    return _fitting(metadata, signers).sign(claims)


def _fitting(metadata: Metadata, signers: tuple[Signer, ...]) -> Signer:
    """The first that the provider lists; else our first, whose refusal is the provider's."""
    listed = metadata.token_auth_algorithms
    return next((signer for signer in signers if signer.algorithm in listed), signers[0])


def _secret_signer(provider: Provider) -> Signer:
    try:
        return shared_secret_signer(provider.client_secret.reveal().encode())
    except ValueError as exc:
        raise _unusable(f"client_secret_jwt: {exc}") from None


def _unusable(detail: str) -> ProviderError:
    return ProviderError(Reason.PROVIDER_ERROR, detail)
