"""Where our endpoints are."""

from __future__ import annotations

from proxy.config.paths import endpoint_paths
from tests.config.configurations import MINIMAL, load_text


def test_paths_follow_the_prefix() -> None:
    paths = endpoint_paths(load_text(MINIMAL, flags={"server.prefix": "/_auth"}))
    assert paths.callback == "/_auth/callback"
    assert paths.jwks == "/_auth/.well-known/jwks.json"
    assert paths.static == "/_auth/static/"
    assert paths.ping == "/ping"


def test_a_path_can_be_set_by_itself() -> None:
    paths = endpoint_paths(load_text(MINIMAL, flags={"paths.callback": "/v1/auth/auth"}))
    assert paths.callback == "/v1/auth/auth"
    assert paths.start == "/oauth2/start"
