"""A provider as it is declared."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.provider import Entra, GitHub, Provider

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"


def test_the_defaults_are_those_of_a_conforming_provider() -> None:
    provider = Provider()
    assert provider.scope.split()[0] == "openid"
    assert (provider.token_auth_method, provider.pkce, provider.discovery) == ("auto", "auto", True)
    assert "none" not in provider.id_token_algorithms
    assert not [name for name in provider.id_token_algorithms if name.startswith("HS")]
    assert not provider.allow_insecure_http


def test_neither_the_secret_nor_the_proxys_password_is_shown() -> None:
    provider = Provider.model_validate(
        {"client_secret": "tiger-in-the-tank", "https_proxy": "http://me:lion-in-the-den@proxy:1"}
    )
    shown = f"{provider} {provider!r} {provider.model_dump()} {provider.model_dump_json()}"
    assert "tiger" not in shown
    assert "lion" not in shown


@pytest.mark.parametrize("name", ["", "google", "a", "0", "our-idp_2", "a" * 32])
def test_names(name: str) -> None:
    assert Provider(name=name).name == name


@pytest.mark.parametrize("name", ["Google", "a b", "-a", "a/b", "a.b", "é", "a" * 33, "a\n"])
def test_names_that_fit_into_no_path(name: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Provider(name=name)


@pytest.mark.parametrize("tenant", ["", TENANT, "organizations", "common", "consumers"])
def test_tenants(tenant: str) -> None:
    assert Entra(tenant=tenant).tenant == tenant


@pytest.mark.parametrize("tenant", [TENANT.upper(), "contoso.example", f"{TENANT}/..", "Common"])
def test_what_is_no_tenant(tenant: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Entra(tenant=tenant)


def test_graph_that_does_not_answer_refuses_by_default() -> None:
    assert (Entra().graph_failure, Entra().graph_max_pages) == ("refuse", 200)


def test_github_is_the_public_one_by_default() -> None:
    assert (GitHub().url, GitHub().api_url, GitHub().teams) == ("https://github.com", None, True)
