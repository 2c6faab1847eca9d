"""Where the browser goes to end the provider's session."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qsl, urlsplit

from proxy.oidc.logout import end_session_url
from tests.oidc.scene import CLIENT, ISSUER, METADATA

BACK = "https://app.example.org/oauth2/signed_out"
STATE = "s" * 43


def _params(url: str | None) -> dict[str, str]:
    assert url is not None
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True))


def test_everything_goes_along() -> None:
    url = end_session_url(METADATA, CLIENT, "a.b.c", BACK, STATE)
    assert url is not None
    assert url.startswith(f"{ISSUER}/session/end?")
    assert _params(url) == {
        "id_token_hint": "a.b.c",
        "client_id": CLIENT,
        "post_logout_redirect_uri": BACK,
        "state": STATE,
    }


def test_without_an_id_token_the_client_id_stands_in() -> None:
    params = _params(end_session_url(METADATA, CLIENT, "", BACK, STATE))
    assert "id_token_hint" not in params
    assert params["client_id"] == CLIENT


def test_a_hint_that_would_break_the_url_is_left_out() -> None:
    params = _params(end_session_url(METADATA, CLIENT, "x" * 7000, BACK, STATE))
    assert params.keys() == {"client_id", "post_logout_redirect_uri", "state"}


def test_the_endpoint_keeps_its_own_query() -> None:
    metadata = dataclasses.replace(METADATA, end_session_endpoint=f"{ISSUER}/end?p=b2c&blank=")
    params = _params(end_session_url(metadata, CLIENT, "", BACK, STATE))
    assert (params["p"], params["blank"]) == ("b2c", "")


def test_a_provider_without_the_endpoint_has_no_url() -> None:
    metadata = dataclasses.replace(METADATA, end_session_endpoint="")
    assert end_session_url(metadata, CLIENT, "a.b.c", BACK, STATE) is None
