"""The rules about whose bearer tokens are accepted."""

from __future__ import annotations

import pytest

from proxy.config.checks_issuers import ISSUERS
from proxy.config.declaration import options
from tests.config.configurations import MINIMAL, SEVERAL, problems_of

GOOD = "{name: ci, issuer_url: 'https://ci.example.org', audiences: [api]}"


def reported(*issuers: str, text: str = MINIMAL, more: str = "") -> str:
    """All problems of a configuration with these issuers, in one text."""
    entries = "".join(f"\n    - {issuer}" for issuer in issuers) or " []"
    return "\n".join(problems_of(f"{text}bearer:\n{more}  issuers:{entries}\n"))


def entry(more: str, name: str = "ci", url: str = "https://ci.example.org") -> str:
    return f"{{name: {name}, issuer_url: '{url}', audiences: [api], {more}}}"


CLIENT = "client_id: us, client_secret: s"


@pytest.mark.parametrize(
    "issuers",
    [
        pytest.param([], id="none"),
        pytest.param([GOOD], id="one"),
        pytest.param(
            [GOOD, entry("", "two", "https://ci.example.org/")], id="issuers that differ by a slash"
        ),
        pytest.param([entry("algorithms: [ES384, EdDSA]")], id="further algorithms"),
        pytest.param([entry(CLIENT)], id="introspection where its metadata say"),
        pytest.param(
            [entry("introspection_endpoint: 'https://ci.example.org/i', " + CLIENT)],
            id="introspection",
        ),
        pytest.param([entry("", url="http://127.0.0.1:4444")], id="http on this machine"),
        pytest.param(
            [entry("allow_insecure_http: true", url="http://ci.test")], id="http on a test network"
        ),
        pytest.param(
            [entry("", url="https://idp.example.org/")], id="the provider's, which has no audiences"
        ),
    ],
)
def test_good_issuers(issuers: list[str]) -> None:
    assert reported(*issuers) == ""


@pytest.mark.parametrize(
    ("issuers", "expected"),
    [
        pytest.param([entry("", "default")], "default is already the name of provider", id="name"),
        pytest.param([GOOD, GOOD], "ci is already the name of bearer.issuers", id="name twice"),
        pytest.param(
            [GOOD, entry("", "two")], "issuer_url: is already that of bearer.issuers", id="twice"
        ),
        pytest.param([entry("", url="https://app.example.org")], "this proxy itself", id="ours"),
        pytest.param(
            [entry("", url="https://login.example.org/{tenantid}/v2")], "{tenantid}", id="template"
        ),
        pytest.param([entry("", url="http://ci.example.org")], "must be https", id="http issuer"),
        pytest.param(
            [entry("jwks_uri: 'http://localhost.example.org/k'")], "must be https", id="http keys"
        ),
        pytest.param(
            [entry("introspection_endpoint: 'http://ci.example.org/i', " + CLIENT)],
            "must be https",
            id="http introspection",
        ),
        pytest.param([entry("algorithms: [none]")], "none is refused", id="unsigned"),
        pytest.param([entry("algorithms: [NONE]")], "none is refused", id="unsigned, capitals"),
        pytest.param([entry("algorithms: [RS256, HS256]")], "HS256 is refused", id="a secret"),
        pytest.param([entry("algorithms: [RS265]")], "'RS265' is not a known", id="a typo"),
        pytest.param([entry("algorithms: []")], "at least one", id="no algorithm"),
        pytest.param(["{name: ci, issuer_url: 'https://a.example'}"], "audiences", id="no aud"),
        pytest.param([entry("client_id: us")], "client_secret: is needed", id="no secret"),
        pytest.param([entry("client_secret: s")], "client_id: is needed", id="no id"),
        pytest.param(
            [entry("introspection_endpoint: 'https://ci.example.org/i'")],
            "needs client_id",
            id="introspection as nobody",
        ),
        pytest.param([entry("https_proxy: 'socks://x'")], "must be http://host", id="proxy"),
        pytest.param([entry("claims: {user: ''}")], "needs the name of a claim", id="user"),
    ],
)
def test_problems(issuers: list[str], expected: str) -> None:
    assert expected in reported(*issuers)


def test_a_providers_issuer_cannot_stand_here_too_once_its_tokens_count() -> None:
    same = entry("", url="https://idp.example.org/")
    assert "already that of provider" in reported(same, more="  audiences: [api]\n")
    assert "already that of providers" in reported(same, text=SEVERAL, more="  audiences: [api]\n")


def test_introspection_of_the_providers_tokens_needs_audiences() -> None:
    assert "needs bearer.audiences" in reported(more="  introspect: true\n")
    assert not reported(more="  introspect: true\n  audiences: [api]\n")


def test_the_rows_read_options_that_there_are() -> None:
    keys = {option.key for option in options()}
    for reads, _ in ISSUERS:
        for read in reads:
            assert any(f"{key}.".startswith(f"{read}.") for key in keys), read
