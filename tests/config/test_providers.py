"""Each provider whole: what its entry says, its preset, and the rest, in this order."""

from __future__ import annotations

import pytest

from proxy.config.person import Claims
from proxy.config.provider import Provider
from proxy.config.providers import issuers_of, names_of, places_of, providers_of, resolved
from proxy.config.settings import Settings
from tests.config.configurations import MINIMAL, SEVERAL, load_text

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"


def whole(more: dict[str, object], everywhere: dict[str, object] | None = None) -> Provider:
    return resolved(Provider.model_validate(more), Claims.model_validate(everywhere or {}))


def test_one_provider_has_a_name_all_the_same() -> None:
    settings = load_text(MINIMAL)
    [provider] = providers_of(settings)
    assert (provider.name, provider.client_id) == ("default", "playground")
    assert provider.client_secret.reveal() == "tiger-in-the-tank"
    assert (names_of(settings), places_of(settings)) == (("default",), ("provider",))
    named = load_text(MINIMAL, flags={"provider.name": "ours"})
    assert (providers_of(named)[0].name, names_of(named)) == ("ours", ("ours",))


def test_several_keep_their_order() -> None:
    settings = load_text(SEVERAL)
    assert [provider.name for provider in providers_of(settings)] == ["google", "partners"]
    assert names_of(settings) == ("google", "partners")
    assert places_of(settings) == ("providers.0", "providers.1")


def test_without_a_preset_nothing_changes() -> None:
    written = Provider.model_validate({"issuer_url": "https://idp.example.org", "name": "a"})
    assert resolved(written, Claims()) == written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param({}, "openid email profile", id="the default"),
        pytest.param({"preset": "okta"}, "openid email profile groups", id="the preset's"),
        pytest.param({"preset": "okta", "scope": "openid"}, "openid", id="the entry's"),
        pytest.param(
            {"preset": "okta", "scope": "openid email profile"},
            "openid email profile",
            id="the entry's, though it is the default",
        ),
    ],
)
def test_an_option_is_the_entrys_then_the_presets_then_the_default(
    written: dict[str, object], expected: str
) -> None:
    assert whole(written).scope == expected


@pytest.mark.parametrize(
    ("preset", "everywhere", "entry", "expected"),
    [
        pytest.param("", {}, {}, "sub", id="the default"),
        pytest.param("entra", {}, {}, "oid", id="the preset's"),
        pytest.param("entra", {"user": "upn"}, {}, "upn", id="that of all providers"),
        pytest.param("entra", {"user": "sub"}, {}, "sub", id="that, though it is the default"),
        pytest.param("entra", {"user": "upn"}, {"user": "eid"}, "eid", id="the entry's"),
        pytest.param(
            "entra", {"email": "mail"}, {"name": ["n"]}, "oid", id="others change nothing"
        ),
    ],
)
def test_a_claim_is_the_entrys_then_that_of_all_then_the_presets(
    preset: str, everywhere: dict[str, object], entry: dict[str, object], expected: str
) -> None:
    assert whole({"preset": preset, "claims": entry}, everywhere).claims.user == expected


@pytest.mark.parametrize(
    ("entra", "issuer", "metadata"),
    [
        pytest.param(
            {"tenant": TENANT},
            f"https://login.microsoftonline.com/{TENANT}/v2.0",
            f"https://login.microsoftonline.com/{TENANT}/v2.0/.well-known/openid-configuration",
            id="one tenant",
        ),
        pytest.param(
            {"tenant": "common"},
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration",
            id="many",
        ),
        pytest.param(
            {"tenant": "consumers"},
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            "https://login.microsoftonline.com/consumers/v2.0/.well-known/openid-configuration",
            id="that of all people at home",
        ),
        pytest.param(
            {"tenant": TENANT, "cloud": "us_government"},
            f"https://login.microsoftonline.us/{TENANT}/v2.0",
            f"https://login.microsoftonline.us/{TENANT}/v2.0/.well-known/openid-configuration",
            id="another cloud",
        ),
        pytest.param({}, None, None, id="none: nothing is made of nothing"),
    ],
)
def test_what_a_tenant_makes(
    entra: dict[str, str], issuer: str | None, metadata: str | None
) -> None:
    provider = whole({"preset": "entra", "entra": entra})
    assert (provider.issuer_url, provider.server_metadata_url) == (issuer, metadata)


def test_the_client_id_is_one_step_of_a_path() -> None:
    provider = whole({"preset": "keycloak", "client_id": "org.example.app"})
    assert provider.claims.roles[1] == r"resource_access.org\.example\.app.roles"
    assert whole({"preset": "keycloak"}).claims.roles == ("realm_access.roles",)


def test_a_server_of_ones_own() -> None:
    provider = whole({"preset": "github", "github": {"url": "https://git.example.org/"}})
    assert (provider.issuer_url or "").startswith("https://git.example.org/")


@pytest.mark.parametrize("text", ["{github_url}", "{entra_tenant}", "{client_id}", "{tenantid}"])
def test_what_operators_write_is_no_template(text: str) -> None:
    """Neither where it stands, nor where a preset puts it."""
    written: dict[str, object] = {
        "preset": "keycloak",
        "client_id": text,
        "label": text,
        "scope": f"openid {text}",
        "claims": {"name": [text]},
    }
    provider = whole(written, {"user": text})
    assert (provider.client_id, provider.label, provider.scope) == (text, text, f"openid {text}")
    assert (provider.claims.user, provider.claims.name) == (text, (text,))
    assert provider.claims.roles[1] == f"resource_access.{text}.roles"


def test_an_issuer_is_as_a_provider_that_nobody_signs_in_to() -> None:
    issuer = {
        "name": "ci",
        "issuer_url": "https://ci.example.org",
        "audiences": ["api"],
        "algorithms": ["ES256"],
        "claims": {"groups": ["teams"]},
        "clock_skew": "5s",
        "ca_file": "/ca.pem",
    }
    settings = Settings.model_validate(
        {
            "public_url": "https://app.example.org",
            "claims": {"user": "email", "groups": ["roles"]},
            "bearer": {"issuers": [issuer]},
        }
    )
    (found,) = issuers_of(settings)
    assert (found.name, found.issuer_url) == ("ci", "https://ci.example.org")
    assert found.id_token_algorithms == ("ES256",)
    assert (found.claims.user, found.claims.groups) == ("email", ("teams",))
    assert (found.clock_skew, found.ca_file) == (5, "/ca.pem")
    assert found.token_auth_method == "client_secret_basic"
