"""The rules between options."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxy.config.checks import ROWS, check
from proxy.config.declaration import options
from tests.config.configurations import MINIMAL, SECRET, load_text, problems_of


def reported(flags: Mapping[str, str], text: str = MINIMAL) -> str:
    """All problems of ``text`` with some options set as flags, in one text."""
    return "\n".join(problems_of(text, flags=flags))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(
            {"provider.discovery": "false"},
            "not set: provider.authorization_endpoint (AUTH_PROXY_PROVIDER_AUTHORIZATION_ENDPOINT),"
            " provider.token_endpoint",
            id="no discovery and no endpoints",
        ),
        pytest.param({"provider.client_secret": ""}, "provider.client_secret (", id="no secret"),
        pytest.param({"cookie.secret": "short"}, "cookie.secret: looks like", id="weak secret"),
        pytest.param(
            {"cookie.secret": f"{SECRET},0123456789abcdef"},
            "cookie.secret: secret 2 of the list holds 12 bytes",
            id="a weak old secret",
        ),
        pytest.param(
            {"identity.algorithm": "HS256"},
            "identity.shared_secret: HS256 needs a shared secret of 32 bytes",
            id="HS256 without a shared secret",
        ),
        pytest.param(
            {"identity.algorithm": "HS256", "identity.shared_secret": SECRET},
            "identity.shared_secret: must differ",
            id="the cookie secret given away",
        ),
        pytest.param(
            {"provider.id_token_algorithms": "RS256,None"}, "none is refused", id="unsigned tokens"
        ),
        pytest.param(
            {"provider.id_token_algorithms": "RS265"}, "'RS265' is not a known", id="a typo"
        ),
        pytest.param(
            {"provider.id_token_algorithms": "HS256"},
            "HS256 needs a provider.client_secret of 32 bytes",
            id="HS256 with a weak client secret",
        ),
        pytest.param({"provider.id_token_algorithms": ""}, "at least one", id="no algorithm"),
        pytest.param(
            {"provider.issuer_url": "http://idp.example.org"},
            "provider.issuer_url: must be https",
            id="provider on http",
        ),
        pytest.param(
            {"provider.token_endpoint": "http://127.0.0.1.example.org/t"},
            "provider.token_endpoint: must be https",
            id="a host that only looks local",
        ),
        pytest.param(
            {"public_url": "http://app.example.org"}, "public_url: must be https", id="app on http"
        ),
        pytest.param({"provider.scope": "email"}, "must contain openid", id="no openid scope"),
        pytest.param(
            {"provider.extra_headers": "{authorization: x}"},
            "provider.extra_headers.authorization: is set by",
            id="a header of ours to the provider",
        ),
        pytest.param(
            {"provider.authorization_params": "{nonce: x}"},
            "provider.authorization_params.nonce: is set by",
            id="a fixed nonce",
        ),
        pytest.param(
            {"provider.allowed_login_params": "redirect_uri"},
            "provider.allowed_login_params: redirect_uri is set by",
            id="a redirect URI from a link",
        ),
        pytest.param(
            {"public_url": "http://localhost:1", "cookie.same_site": "None"},
            "cookie.same_site: None needs",
            id="SameSite=None without Secure",
        ),
        pytest.param(
            {"cookie.name": "__Host-x", "cookie.domain": "example.org"},
            "cookie.name: a __Host- cookie cannot have a domain",
            id="__Host- with a domain",
        ),
        pytest.param(
            {"cookie.name": "__Secure-x", "cookie.secure": "false"},
            "cookie.name: a name with this prefix needs",
            id="__Secure- without Secure",
        ),
        pytest.param(
            {"cookie.domain": "example.com"}, "cookie.domain: the host of", id="foreign domain"
        ),
        pytest.param(
            {"session.lifetime": "1h", "session.idle_timeout": "2h"},
            "session.idle_timeout: must not be longer",
            id="idle longer than life",
        ),
        pytest.param({"session.lifetime": "0"}, "session.lifetime: must be", id="no lifetime"),
        pytest.param(
            {"auth.disabled": "true", "server.listen": "0.0.0.0:4180"},
            "auth.disabled: would let anyone in through 0.0.0.0:4180",
            id="E4.2 no authentication on a public address",
        ),
        pytest.param(
            {"server.listen": "127.0.0.1:4181"},
            "server.private_listen: must differ",
            id="both on one port",
        ),
    ],
)
def test_what_does_not_fit_together(flags: Mapping[str, str], expected: str) -> None:
    assert expected in reported(flags)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param({"provider.issuer_url": "http://localhost:8080"}, id="a local provider"),
        pytest.param(
            {"provider.issuer_url": "http://idp", "provider.allow_insecure_http": "true"},
            id="http allowed",
        ),
        pytest.param({"public_url": "http://localhost:4180"}, id="a local app"),
        pytest.param(
            {"public_url": "http://app.example.org", "cookie.secure": "false"}, id="stated http"
        ),
        pytest.param(
            {"provider.client_secret": "", "provider.token_auth_method": "none"},
            id="a public client",
        ),
        pytest.param({"session.lifetime": "1h"}, id="a life shorter than the default idle limit"),
        pytest.param({"server.private_listen": "off"}, id="no private port"),
        pytest.param({"cookie.domain": "example.org"}, id="a parent domain"),
        pytest.param(
            {
                "auth.disabled": "true",
                "server.listen": ":4180",
                "auth.disabled_on_public_address": "true",
            },
            id="no authentication, said twice",
        ),
    ],
)
def test_what_fits(flags: Mapping[str, str]) -> None:
    assert reported(flags) == ""


def test_without_authentication_neither_provider_nor_secret_is_needed() -> None:
    text = "public_url: http://localhost:4180\nupstream: http://app\nauth:\n  disabled: true\n"
    assert problems_of(text) == []


def test_explicit_endpoints_replace_discovery() -> None:
    base = "https://idp.example.org"
    flags = {
        "provider.discovery": "false",
        "provider.authorization_endpoint": f"{base}/authorize",
        "provider.token_endpoint": f"{base}/token",
        "provider.jwks_uri": f"{base}/jwks",
    }
    assert reported(flags) == ""


def test_metadata_url_replaces_issuer_url() -> None:
    text = MINIMAL.replace("issuer_url: ", "server_metadata_url: ")
    assert problems_of(text) == []


def test_rules_whose_options_are_broken_are_left_out() -> None:
    settings = load_text(MINIMAL)
    assert check(settings, frozenset({"cookie.secret"})) == []


def test_rows_name_options_that_exist() -> None:
    known = {option.key for option in options()}
    assert {name for row in ROWS for name in row.reads} <= known
