"""Sign-out at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from proxy.oidc.metadata import Metadata
from proxy.oidc.query import add_query

# a URL beyond some 8 KB is refused by many servers, and then nobody is signed out
_LONGEST_HINT = 6000


def end_session_url(
    metadata: Metadata,
    client_id: str,
    id_token: str,
    post_logout_redirect_uri: str,
    state: str,
) -> str | None:
    """Where to send the browser to end the provider's session; ``None`` when it has no place.

    ``client_id`` always goes along: it stands in for a hint that is missing or too long, and
    some providers cannot tell the client from the hint. Empty values are left out.
    """
    if not metadata.end_session_endpoint:
        return None
    params = {
        "id_token_hint": id_token if len(id_token) <= _LONGEST_HINT else "",
        "client_id": client_id,
        "post_logout_redirect_uri": post_logout_redirect_uri,
        "state": state,
    }
    return add_query(metadata.end_session_endpoint, {k: v for k, v in params.items() if v})
