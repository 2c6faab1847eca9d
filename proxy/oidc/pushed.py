"""The authorization request, pushed to the provider before the browser goes there (RFC 9126)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_object
from proxy.errors import ProviderError, Reason
from proxy.oidc.client_auth import NO_PROOF, Proof, TokenRequest, authenticated
from proxy.oidc.metadata import Metadata

_LARGEST_ANSWER = 64 * 1024
# a URI (RFC 3986), most often a urn; it becomes a parameter that the browser carries
_REQUEST_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,31}:(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){1,1024}"
)


def is_pushed(metadata: Metadata, provider: Provider) -> bool:
    """Is the request to be pushed? Raises ProviderError where it must be and cannot.

    Where it is, there is no way back to one that the browser carries: whoever could make
    pushing fail would else choose the weaker way (section 5).
    """
    endpoint = metadata.pushed_authorization_request_endpoint
    if provider.pushed_authorization == "off":
        if metadata.requires_pushed:
            raise _unusable("the provider demands it, and pushed_authorization is off")
        return False
    if not endpoint and (provider.pushed_authorization == "on" or metadata.requires_pushed):
        raise _unusable("pushed_authorization_request_endpoint is not known")
    return bool(endpoint)


def push_request(
    metadata: Metadata, provider: Provider, params: Mapping[str, str], proof: Proof = NO_PROOF
) -> TokenRequest:
    """The POST that carries the parameters of the authorization request (section 2.1)."""
    url = metadata.pushed_authorization_request_endpoint
    return authenticated(metadata, provider, params, url, proof)


def read_pushed(status: int, body: bytes) -> str:
    """The ``request_uri`` in the answer (section 2.2).

    Raises ProviderError for every other answer, with the provider's two words for a refusal.
    """
    try:
        answer = read_object(body, _LARGEST_ANSWER)
    except ValueError as exc:
        raise _unusable(f"status {status}, {exc}") from None
    if status not in (200, 201) or answer.get("error") is not None:
        error, description = answer.get("error"), answer.get("error_description")
        said = f"error={ascii(error)[:80]} description={ascii(description)[:200]}"
        raise _unusable(f"status {status}, {said}")
    uri, life = answer.get("request_uri"), answer.get("expires_in")
    if not isinstance(uri, str) or not _REQUEST_URI.fullmatch(uri):
        raise _unusable("request_uri is missing, too long, or no URI")
    if isinstance(life, bool) or not isinstance(life, int | float) or not life > 0:
        raise _unusable("expires_in is not a positive number")
    return uri


def carried(provider: Provider, request_uri: str) -> dict[str, str]:
    """All that is left for the browser to carry (section 4)."""
    return {"client_id": provider.client_id, "request_uri": request_uri}


def _unusable(detail: str) -> ProviderError:
    return ProviderError(Reason.PROVIDER_ERROR, f"pushed request: {detail}")
