"""Tokens given back when a person signs out (RFC 7009)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_object
from proxy.model import Tokens
from proxy.oidc.client_auth import NO_PROOF, Proof, TokenRequest, authenticated
from proxy.oidc.metadata import Metadata
from proxy.oidc.tokens import LARGEST_ANSWER

_NONE: Final = (NO_PROOF, NO_PROOF)


def revocation_requests(
    metadata: Metadata, provider: Provider, tokens: Tokens, proofs: Sequence[Proof] = _NONE
) -> tuple[TokenRequest, ...]:
    """One request for each token that is kept, the refresh token first: most providers end what
    came of it as well (section 2.1). Nothing for a provider without a revocation endpoint.

    ``proofs``: two of them, as each assertion is good once.
    """
    url = metadata.revocation_endpoint
    kept = (("refresh_token", tokens.refresh_token), ("access_token", tokens.access_token))
    return tuple(
        authenticated(metadata, provider, {"token": token, "token_type_hint": hint}, url, proof)
        for (hint, token), proof in zip(kept, proofs, strict=True)
        if url and token
    )


def revocation_problem(status: int, body: bytes) -> str:
    """What kept the provider from revoking, in words for the log; empty if it did.

    A token that is unknown or over already is no problem (section 2.2), nor one of a kind that
    the provider never revokes (section 2.2.1).
    """
    if status == 200:
        return ""
    try:
        error = read_object(body, LARGEST_ANSWER).get("error")
    except ValueError:
        error = None
    if error == "unsupported_token_type":
        return ""
    return f"status {status}, error={ascii(error)[:80]}"
