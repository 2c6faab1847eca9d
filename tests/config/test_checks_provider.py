"""The rules about providers: one of them, and several."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxy.config.checks_provider import PROVIDER, is_domain, missing, placed, provider_problems
from proxy.config.declaration import options
from proxy.config.provider import Provider
from tests.config.configurations import MINIMAL, SEVERAL, load_text, problems_of

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
LONG = "0123456789abcdef0123456789abcdef"
ENDPOINTS = {
    "provider.discovery": "false",
    "provider.authorization_endpoint": "https://idp.example.org/authorize",
    "provider.token_endpoint": "https://idp.example.org/token",
    "provider.jwks_uri": "https://idp.example.org/jwks",
}


def reported(flags: Mapping[str, str], text: str = MINIMAL) -> str:
    """All problems of ``text`` with some options set as flags, in one text."""
    return "\n".join(problems_of(text, flags=flags))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"provider.client_secret": ""}, "provider.client_secret (", id="no secret"),
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
            {"provider.discovery": "false"},
            "not set: provider.authorization_endpoint (AUTH_PROXY_PROVIDER_AUTHORIZATION_ENDPOINT),"
            " provider.token_endpoint",
            id="no discovery and no endpoints",
        ),
        pytest.param({"provider.client_id": ""}, "provider.client_id (", id="no client id"),
        pytest.param(
            ENDPOINTS | {"provider.claims_source": "userinfo"},
            "not set: provider.userinfo_endpoint (",
            id="claims from a userinfo that nobody knows",
        ),
        pytest.param(
            ENDPOINTS | {"provider.pushed_authorization": "on"},
            "not set: provider.pushed_authorization_request_endpoint (",
            id="pushed to nowhere",
        ),
        pytest.param(
            {"provider.token_auth_method": "private_key_jwt"},
            "not set: provider.client_key_file (",
            id="private_key_jwt without a key",
        ),
        pytest.param(
            {"provider.token_auth_method": "tls_client_auth"},
            "not set: provider.tls_certificate_file (",
            id="tls_client_auth without a certificate",
        ),
        pytest.param(
            {"provider.token_auth_method": "client_secret_jwt"},
            "provider.client_secret: client_secret_jwt signs with it: 32 bytes are needed",
            id="client_secret_jwt with a weak secret",
        ),
        pytest.param(
            {"provider.client_secret": "", "provider.token_auth_method": "client_secret_jwt"},
            "not set: provider.client_secret (",
            id="client_secret_jwt without a secret",
        ),
        pytest.param(
            {"provider.client_key_file": "/k", "provider.client_assertion_file": "/a"},
            "provider.client_assertion_file: set provider.client_key_file or this, not both",
            id="a key and a ready assertion",
        ),
        pytest.param(
            {"provider.client_key_file": "/k", "provider.token_auth_method": "client_secret_post"},
            "provider.client_key_file: is of no use: provider.token_auth_method is client_sec",
            id="a key that nothing signs with",
        ),
        pytest.param(
            {"provider.client_key_id": "k"},
            "provider.client_key_id: needs provider.client_key_file",
            id="the name of no key",
        ),
        pytest.param(
            {"provider.tls_key_file": "/k"},
            "provider.tls_key_file: needs provider.tls_certificate_file",
            id="a key without its certificate",
        ),
        pytest.param(
            {"provider.extra_headers": "{Host: x}"},
            "provider.extra_headers.Host: is set by",
            id="another host",
        ),
        pytest.param(
            {"provider.extra_headers": "{X Y: x}"}, "is not a valid header name", id="no header"
        ),
        pytest.param(
            {"provider.extra_headers": '{X-Y: "a\\nb"}'},
            "provider.extra_headers.X-Y: holds control",
            id="two headers in one",
        ),
        pytest.param(
            {"provider.entra.tenant": TENANT},
            "provider.entra: needs provider.preset: entra",
            id="Entra's options without Entra",
        ),
        pytest.param(
            {"provider.github.teams": "false"},
            "provider.github: needs provider.preset: github",
            id="GitHub's options without GitHub",
        ),
        pytest.param(
            {"provider.issuer_url": "https://idp.example.org/{tenantid}/v2.0"},
            "provider.issuer_url: {tenantid} stands for a tenant with provider.preset: entra alone",
            id="a template of another provider",
        ),
        pytest.param(
            {"provider.email_domains": "x@example.org"},
            "provider.email_domains: 'x@example.org' is not a domain such as example.org or",
            id="an address for a domain",
        ),
        pytest.param(
            {"provider.hosted_domains": ".example.org"},
            "provider.hosted_domains: '.example.org' is not a domain",
            id="subdomains, which the claim hd has not",
        ),
        pytest.param(
            {"provider.claims.user": ""}, "provider.claims.user: needs the name", id="nobody"
        ),
        pytest.param(
            {"provider.claims.user_fallback": "email", "claims.email": ""},
            "provider.claims.user_fallback: needs the name of a claim in claims.email",
            id="the address of no claim",
        ),
        pytest.param(
            {"provider.pushed_authorization_request_endpoint": "http://idp.example.org/par"},
            "provider.pushed_authorization_request_endpoint: must be https",
            id="pushed over http",
        ),
        pytest.param({"provider.name": "A b"}, "provider.name: 'A b' is not allowed", id="a name"),
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
        pytest.param(
            {"provider.client_secret": "", "provider.token_auth_method": "none"},
            id="a public client",
        ),
        pytest.param(ENDPOINTS, id="explicit endpoints replace discovery"),
        pytest.param({"provider.client_secret": "", "provider.client_key_file": "/k"}, id="a key"),
        pytest.param(
            {
                "provider.client_secret": "",
                "provider.token_auth_method": "private_key_jwt",
                "provider.client_assertion_file": "/a",
            },
            id="a ready assertion",
        ),
        pytest.param(
            {
                "provider.client_secret": "",
                "provider.token_auth_method": "tls_client_auth",
                "provider.tls_certificate_file": "/c",
            },
            id="a certificate",
        ),
        pytest.param(
            {"provider.client_secret": LONG, "provider.token_auth_method": "client_secret_jwt"},
            id="a long secret signs",
        ),
        pytest.param({"provider.pushed_authorization": "on"}, id="pushed to what is discovered"),
        pytest.param({"provider.email_domains": "example.org,.lyon.fr,*"}, id="domains"),
        pytest.param({"provider.hosted_domains": "example.org"}, id="a Workspace domain"),
        pytest.param({"provider.entra.cloud": "global"}, id="a default of Entra's, said"),
        pytest.param({"provider.claims.user_fallback": "email"}, id="an address for an id"),
        pytest.param({"provider.extra_headers": "{X-Tenant: a}"}, id="a header"),
    ],
)
def test_what_fits(flags: Mapping[str, str]) -> None:
    assert reported(flags) == ""


def test_metadata_url_replaces_issuer_url() -> None:
    text = MINIMAL.replace("issuer_url: ", "server_metadata_url: ")
    assert problems_of(text) == []


_PROXY_WORDS = "provider.https_proxy: must be http://host:port, or http://user:password@host:port"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        pytest.param("http://proxy:3128", True, id="a proxy"),
        pytest.param("http://proxy.example.org:3128/", True, id="with a slash"),
        pytest.param("http://[fd00::1]:3128", True, id="an address"),
        pytest.param("http://me:tiger-in-the-tank@proxy:3128", True, id="with a password"),
        pytest.param("http://me:ti%40ger@proxy:3128", True, id="with an @ in it"),
        pytest.param("https://proxy:3128", False, id="over TLS"),
        pytest.param("socks5://proxy:1080", False, id="SOCKS"),
        pytest.param("proxy:3128", False, id="no scheme"),
        pytest.param("http://proxy", False, id="no port"),
        pytest.param("http://proxy:0", False, id="port 0"),
        pytest.param("http://proxy:99999", False, id="too large a port"),
        pytest.param("http://:3128", False, id="no host"),
        pytest.param("http://me:ti@ger-in-the-tank@proxy:3128", False, id="an @ as it is"),
        pytest.param("http://me:ti/ger-in-the-tank@proxy:3128", False, id="a slash as it is"),
        pytest.param("http://proxy:3128/tiger-in-the-tank", False, id="a path"),
        pytest.param("http://proxy:3128?tiger-in-the-tank", False, id="a query"),
        pytest.param("http://me:ti ger-in-the-tank@proxy:3128", False, id="a space"),
    ],
)
def test_the_proxy_for_calls_to_the_provider(url: str, good: bool) -> None:
    found = reported({"provider.https_proxy": url})
    assert "tank" not in found
    assert found.startswith("" if good else f"--provider-https-proxy: {_PROXY_WORDS}")
    assert bool(found) is not good


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("", "", "", id="both are well"),
        pytest.param(
            "- name: partners\n    label", "- label", "8: providers.1.name: is needed", id="no name"
        ),
        pytest.param(
            "name: partners",
            "name: google",
            "8: providers.1.name: google is already the name of providers.0",
            id="one name",
        ),
        pytest.param(
            "cookie:",
            "provider:\n  client_id: app\ncookie:",
            "3: providers: cannot stand beside provider",
            id="one beside several",
        ),
        pytest.param(
            "    client_id: playground\n", "", "8: providers.1.client_id: is needed", id="no id"
        ),
        pytest.param(
            "label: Partners",
            "id_token_algorithms: [HS256]",
            "9: providers.1.id_token_algorithms: HS256 needs a providers.1.client_secret of 32",
            id="a place in the words",
        ),
        pytest.param(
            "label: Partners",
            "claims: {user: }",
            "",
            id="a claim without a value",
        ),
        pytest.param(
            "label: Partners",
            "claims: {user: ''}",
            "9: providers.1.claims.user: needs the name",
            id="no claim",
        ),
        pytest.param(
            "label: Partners",
            "https_proxy: https://proxy:1",
            "9: providers.1.https_proxy: must be http://",
            id="a proxy",
        ),
    ],
)  # fmt: skip
def test_several(old: str, new: str, expected: str) -> None:
    found = problems_of(SEVERAL.replace(old, new, 1) if old else SEVERAL)
    assert len(found) == bool(expected)
    assert "".join(found).startswith(f"proxy.cfg:{expected}" if expected else "")


def test_of_two_providers_each_problem_is_told() -> None:
    text = SEVERAL.replace("preset: google", "scope: email").replace("/idp.", "/idp{tenantid}.")
    found = problems_of(text)
    assert [problem.partition(": ")[2].partition(":")[0] for problem in found] == [
        "providers.0.issuer_url",
        "providers.0.scope",
        "providers.1.server_metadata_url",
        "providers.1.issuer_url",
    ]


def test_nothing_is_guessed_from_what_is_broken() -> None:
    settings = load_text(SEVERAL).model_copy(update={"providers": (Provider(name="a"),)})
    assert {*missing(settings, frozenset())} == {
        *("providers.0.issuer_url", "providers.0.client_id", "providers.0.client_secret")
    }
    assert {*missing(settings, {"providers.0.discovery", "providers.0.client_id"})} == {
        "providers.0.client_secret"
    }
    assert not {*missing(settings, {"providers.0.preset"})}
    assert not {*missing(settings, {"providers"})}
    broken = settings.model_copy(update={"providers": (Provider(name="a", scope="email"),)})
    assert [name for name, _ in provider_problems(broken, frozenset())] == ["providers.0.scope"]
    for name in ("providers", "providers.0.preset", "providers.0.scope"):
        assert not list(provider_problems(broken, {name}))


def test_rows_name_options_that_exist() -> None:
    known = {option.key for option in options(Provider)}
    assert {name for reads, _ in PROVIDER for name in reads} <= known


def test_places() -> None:
    assert [(it.place, it.whole.name) for it in placed(load_text(MINIMAL))] == [
        ("provider", "default")
    ]
    assert [(it.place, it.written.label, it.whole.label) for it in placed(load_text(SEVERAL))] == [
        ("providers.0", "", "Google"),
        ("providers.1", "Partners", "Partners"),
    ]


@pytest.mark.parametrize(
    ("entry", "good"),
    [
        *((entry, True) for entry in ("*", "example.org", ".example.org", "*.a.org", "zürich.org")),
        *((entry, False) for entry in ("", ".", "*.", "**", "a b", "a@b.org", "a..org", "-a.org")),
    ],
)
def test_domains(entry: str, good: bool) -> None:
    assert is_domain(entry) is good
