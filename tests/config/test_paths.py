"""Where our endpoints are."""

from __future__ import annotations

from proxy.config.paths import callback_paths, endpoint_paths
from tests.config.configurations import MINIMAL, SEVERAL, load_text


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


def test_one_provider_has_the_callback_for_itself() -> None:
    assert callback_paths(load_text(MINIMAL)) == {"/oauth2/callback": "default"}
    named = load_text(MINIMAL, flags={"provider.name": "ours", "paths.callback": "/cb"})
    assert callback_paths(named) == {"/cb": "ours"}


def test_each_of_several_providers_has_a_callback_of_its_own() -> None:
    """RFC 9700 section 4.4.2.2: a defence against mix-up."""
    assert callback_paths(load_text(SEVERAL)) == {
        "/oauth2/callback/google": "google",
        "/oauth2/callback/partners": "partners",
    }
