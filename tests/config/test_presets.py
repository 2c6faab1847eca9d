"""Every preset is a provider once what it leaves open is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest

from proxy.config.person import Claims
from proxy.config.presets import ENTRA_LOGIN, GRAPH, PRESETS
from proxy.config.provider import Entra, Provider
from proxy.config.providers import TEMPLATE, resolved

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
OPEN: Mapping[str, Mapping[str, Any]] = {
    "entra": {"entra": {"tenant": TENANT}},
    "keycloak": {"issuer_url": "https://sso.example.org/realms/app"},
    "okta": {"issuer_url": "https://example.org"},
    "auth0": {"issuer_url": "https://example.org/"},
}


def preset(name: str, /, **written: Any) -> Provider:
    return resolved(Provider.model_validate({"preset": name, **written}), Claims())


def filled(name: str) -> Provider:
    return preset(name, **{"client_id": "app", **OPEN.get(name, {})})


def test_each_preset_that_can_be_named_is_there() -> None:
    assert set(get_args(Provider.model_fields["preset"].annotation)) == {"", *PRESETS}


@pytest.mark.parametrize("name", PRESETS)
def test_every_key_is_an_option_and_every_value_is_good(name: str) -> None:
    assert PRESETS[name].keys() <= Provider.model_fields.keys() - {"name", "preset", "client_id"}
    assert PRESETS[name].get("claims", {}).keys() <= Claims.model_fields.keys()
    provider = filled(name)
    for key, value in PRESETS[name].items():
        if key != "claims" and "{" not in str(value):
            assert getattr(provider, key) == value
    assert provider.label


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_safe(name: str) -> None:
    """TLS everywhere, PKCE wherever it is understood, no symmetric or absent signatures."""
    assert not {"allow_insecure_http", "client_secret", "ca_file"} & PRESETS[name].keys()
    provider = filled(name)
    for key, value in provider:
        if isinstance(value, str) and "://" in value:
            assert urlsplit(value).scheme == "https", key
    assert provider.pkce in ("auto", "on")
    assert not {"none", "HS256"} & set(provider.id_token_algorithms)


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_stays_to_be_filled_in_but_the_tenant_of_a_token(name: str) -> None:
    provider = filled(name)
    texts = [value for value in provider.model_dump().values() if isinstance(value, str | tuple)]
    assert "{" not in f"{texts} {provider.claims}"
    if name == "entra":
        many = preset(name, entra={"tenant": "common"})
        assert (many.issuer_url or "").count("{") == (many.issuer_url or "").count(TEMPLATE) == 1


@pytest.mark.parametrize(
    ("name", "options", "issuer"),
    [
        ("google", {}, "https://accounts.google.com"),
        ("proconnect", {}, "https://auth.agentconnect.gouv.fr/api/v2"),
        ("gitlab", {}, "https://gitlab.com"),
        ("github", {}, "https://github.com/login/oauth"),
        (
            "github",
            {"github": {"url": "https://git.example.org/"}},
            "https://git.example.org/login/oauth",
        ),
        ("entra", OPEN["entra"], f"https://login.microsoftonline.com/{TENANT}/v2.0"),
        (
            "entra",
            {"entra": {"tenant": "organizations"}},
            "https://login.microsoftonline.com/{tenantid}/v2.0",
        ),
        (
            "entra",
            {"entra": {"tenant": TENANT, "cloud": "us_government"}},
            f"https://login.microsoftonline.us/{TENANT}/v2.0",
        ),
        (
            "entra",
            {"entra": {"tenant": "consumers"}},
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        ),
    ],
)
def test_issuers_that_are_known(name: str, options: Mapping[str, Any], issuer: str) -> None:
    assert preset(name, **options).issuer_url == issuer


@pytest.mark.parametrize("name", ["keycloak", "okta", "auth0"])
def test_issuers_that_only_the_operator_knows(name: str) -> None:
    assert preset(name).issuer_url is None
    assert filled(name).issuer_url == OPEN[name]["issuer_url"]


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_written_wins(name: str) -> None:
    written = {"label": "Ours", "scope": "openid", "issuer_url": "https://id.example.org/a"}
    provider = preset(name, **written, claims={"user": "uid"})
    assert {key: getattr(provider, key) for key in written} == written
    assert provider.claims.user == "uid"


def test_many_tenants_share_one_metadata_document() -> None:
    for tenant in ("common", "organizations"):
        assert preset("entra", entra={"tenant": tenant}).server_metadata_url == (
            f"https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
        )


def test_each_cloud_that_can_be_named_is_there() -> None:
    clouds = set(get_args(Entra.model_fields["cloud"].annotation))
    assert ENTRA_LOGIN.keys() == GRAPH.keys() == clouds
    assert {urlsplit(url).scheme for url in (*ENTRA_LOGIN.values(), *GRAPH.values())} == {"https"}


def test_a_client_id_with_dots_is_one_step_of_a_path() -> None:
    roles = preset("keycloak", client_id="org.example.app").claims.roles
    assert roles == ("realm_access.roles", r"resource_access.org\.example\.app.roles")


def test_github_is_never_asked_for_openid() -> None:
    assert "openid" not in filled("github").scope.split()
    assert [name for name in PRESETS if "openid" not in filled(name).scope.split()] == ["github"]


def test_proconnect_is_asked_for_nothing_extra() -> None:
    """requirements.md D: one parameter too many is an error there."""
    provider = filled("proconnect")
    assert not provider.authorization_params
    assert not provider.allowed_login_params
    assert (provider.acr_request, provider.fresh_sign_in) == ("claims", "prompt")
    assert provider.token_auth_method == "client_secret_post"
    assert not {"profile", "phone", "address"} & set(provider.scope.split())
