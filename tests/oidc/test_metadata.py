"""The document must be that of the provider we were told about, and its endpoints safe."""

from __future__ import annotations

import pytest

from proxy.errors import ProviderError, Reason
from proxy.oidc.metadata import (
    Incomplete,
    Metadata,
    issuer_metadata,
    metadata_url,
    pkce_used,
    read_issuer,
    read_metadata,
    static_metadata,
)
from tests.oidc.scene import ISSUER, METADATA, provider

SUFFIX = "/.well-known/openid-configuration"
DOCUMENT: dict[str, object] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "end_session_endpoint": f"{ISSUER}/session/end",
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
    "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256"],
    "response_types_supported": ["code"],
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"issuer_url": ISSUER}, ISSUER + SUFFIX, id="issuer"),
        pytest.param({"issuer_url": ISSUER + "/"}, ISSUER + SUFFIX, id="one slash only"),
        pytest.param({"issuer_url": ISSUER + SUFFIX}, ISSUER + SUFFIX, id="suffix already there"),
        pytest.param(
            {"server_metadata_url": "https://idp/meta"}, "https://idp/meta", id="explicit URL wins"
        ),
        pytest.param(
            {"issuer_url": "http://127.0.0.1:9000"}, f"http://127.0.0.1:9000{SUFFIX}", id="loopback"
        ),
    ],
)
def test_metadata_url(options: dict[str, object], expected: str) -> None:
    assert metadata_url(provider(**options)) == expected


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"issuer_url": None}, id="nothing is configured"),
        pytest.param({"issuer_url": "http://idp.example.org"}, id="http elsewhere"),
        pytest.param({"issuer_url": "http://localhost.example.org"}, id="looks like localhost"),
    ],
)
def test_metadata_url_refuses(options: dict[str, object]) -> None:
    with pytest.raises(ProviderError) as error:
        metadata_url(provider(**options))
    assert error.value.reason is Reason.PROVIDER_METADATA_INVALID


def test_reads_a_document() -> None:
    assert read_metadata(DOCUMENT, provider()) == Metadata(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize",
        token_endpoint=f"{ISSUER}/token",
        jwks_uri=f"{ISSUER}/jwks",
        userinfo_endpoint=f"{ISSUER}/userinfo",
        end_session_endpoint=f"{ISSUER}/session/end",
        token_auth_methods=("client_secret_post", "private_key_jwt"),
        pkce_methods=("S256",),
        iss_parameter=True,
        id_token_algorithms=("RS256", "ES256"),
    )


def test_a_document_with_the_least() -> None:
    names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    metadata = read_metadata({name: DOCUMENT[name] for name in names}, provider())
    assert metadata.userinfo_endpoint == metadata.end_session_endpoint == ""
    assert (metadata.token_auth_methods, metadata.pkce_methods) == ((), None)
    assert metadata.iss_parameter is False
    assert metadata.id_token_algorithms == provider().id_token_algorithms


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        pytest.param(f"{ISSUER}/revoke", True, id="good"),
        pytest.param("http://idp.example.org/revoke", False, id="not https"),
        pytest.param("javascript:alert(1)", False, id="no URL of a server"),
        pytest.param(["https://idp.example.org/revoke"], False, id="no text"),
        pytest.param(None, False, id="null"),
    ],
)
def test_a_revocation_endpoint_that_cannot_be_used_is_as_good_as_none(
    url: object, kept: bool
) -> None:
    metadata = read_metadata(DOCUMENT | {"revocation_endpoint": url}, provider())
    assert metadata.revocation_endpoint == (url if kept else "")


@pytest.mark.parametrize(
    ("options", "issuer"),
    [
        pytest.param({"issuer_url": ISSUER + "/"}, ISSUER + "/", id="the slash belongs to it"),
        pytest.param(
            {"issuer_url": None, "server_metadata_url": ISSUER + SUFFIX}, ISSUER, id="by its URL"
        ),
        pytest.param(
            {"issuer_url": None, "server_metadata_url": ISSUER + SUFFIX},
            ISSUER + "/",
            id="by its URL, with a slash",
        ),
        pytest.param({"issuer_url": ISSUER + SUFFIX}, ISSUER, id="suffix pasted as the issuer"),
        pytest.param(
            {"server_metadata_url": "https://elsewhere.example.org/meta"}, ISSUER, id="both given"
        ),
    ],
)
def test_accepts_the_issuer(options: dict[str, object], issuer: str) -> None:
    assert read_metadata(DOCUMENT | {"issuer": issuer}, provider(**options)).issuer == issuer


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        pytest.param({"issuer": "https://evil.example.org"}, {}, id="another issuer"),
        pytest.param({"issuer": ISSUER + "/"}, {}, id="a slash more"),
        pytest.param({"issuer": ISSUER.upper()}, {}, id="upper case"),
        pytest.param({"issuer": ISSUER[:-1]}, {}, id="a part of it (CVE-2024-53861)"),
        pytest.param({"issuer": [ISSUER]}, {}, id="issuer in a list"),
        pytest.param({"issuer": None}, {}, id="no issuer"),
        pytest.param(
            {"issuer": "https://evil.example.org"},
            {"issuer_url": None, "server_metadata_url": ISSUER + SUFFIX},
            id="issuer of another URL",
        ),
        pytest.param(
            {},
            {"issuer_url": None, "server_metadata_url": "https://idp.example.org/meta"},
            id="URL says nothing of the issuer",
        ),
        pytest.param({"token_endpoint": None}, {}, id="no token endpoint"),
        pytest.param({"authorization_endpoint": ""}, {}, id="empty authorization endpoint"),
        pytest.param({"jwks_uri": None}, {}, id="no keys"),
        pytest.param(
            {"userinfo_endpoint": None}, {"claims_source": "userinfo"}, id="userinfo is needed"
        ),
        pytest.param({"token_endpoint": 7}, {}, id="endpoint is a number"),
        pytest.param({"token_endpoint": "http://idp.example.org/token"}, {}, id="http"),
        pytest.param(
            {"userinfo_endpoint": "http://localhost:80@evil.example.org/"}, {}, id="user name in it"
        ),
        pytest.param(
            {"userinfo_endpoint": "https://user:pw@idp.example.org/"}, {}, id="a password in it"
        ),
        pytest.param({"jwks_uri": "ftp://idp.example.org/jwks"}, {}, id="another scheme"),
        pytest.param(
            {"jwks_uri": "file:///etc/passwd"}, {"allow_insecure_http": True}, id="a file"
        ),
        pytest.param({"end_session_endpoint": "javascript:alert(1)"}, {}, id="a script"),
        pytest.param({"token_endpoint": "https://idp.example.org:x/"}, {}, id="a bad port"),
        pytest.param({"token_endpoint": "https://[::1"}, {}, id="a bad address"),
        pytest.param({"token_endpoint": "https://idp.example.org/\r\nX: y"}, {}, id="CRLF"),
        pytest.param({"token_endpoint": "https://idp.example.org\\@evil/"}, {}, id="backslash"),
        pytest.param({"token_endpoint": "https://idp.example.org/#f"}, {}, id="fragment"),
        pytest.param({"token_endpoint": "/token"}, {}, id="relative"),
        pytest.param({"code_challenge_methods_supported": "S256"}, {}, id="list expected"),
        pytest.param(
            {"authorization_response_iss_parameter_supported": "true"}, {}, id="true as a text"
        ),
        pytest.param(
            {"id_token_signing_alg_values_supported": ["HS256", "none"]},
            {},
            id="no common algorithm",
        ),
    ],
)
def test_refuses(changes: dict[str, object], options: dict[str, object]) -> None:
    with pytest.raises(ProviderError) as error:
        read_metadata(DOCUMENT | changes, provider(**options))
    assert error.value.reason is Reason.PROVIDER_METADATA_INVALID
    assert error.value.detail.isprintable()


@pytest.mark.parametrize("document", [None, [], "x", [DOCUMENT]])
def test_a_document_that_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(ProviderError):
        read_metadata(document, provider())


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:9000", "127.9.9.9", "[::1]:9000"])
def test_http_is_fine_on_this_machine(host: str) -> None:
    document = DOCUMENT | {"token_endpoint": f"http://{host}/token"}
    assert read_metadata(document, provider()).token_endpoint == f"http://{host}/token"


def test_http_elsewhere_is_the_operator_s_choice() -> None:
    document = DOCUMENT | {"token_endpoint": "http://keycloak:8080/token"}
    options = provider(allow_insecure_http=True)
    assert read_metadata(document, options).token_endpoint == "http://keycloak:8080/token"


def test_settings_win_over_the_document() -> None:
    mine = "https://sovereign.example.org/token"
    assert read_metadata(DOCUMENT, provider(token_endpoint=mine)).token_endpoint == mine
    with pytest.raises(ProviderError):
        read_metadata(DOCUMENT, provider(token_endpoint="http://sovereign.example.org/token"))


ENDPOINTS = {
    "discovery": False,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
}


def test_static_metadata_comes_from_the_settings() -> None:
    metadata = static_metadata(provider(**ENDPOINTS))
    assert metadata.issuer == ISSUER
    assert metadata.token_endpoint == f"{ISSUER}/token"
    assert (metadata.userinfo_endpoint, metadata.iss_parameter) == ("", False)


@pytest.mark.parametrize(
    "missing", ["issuer_url", "authorization_endpoint", "token_endpoint", "jwks_uri"]
)
def test_static_metadata_names_what_is_missing(missing: str) -> None:
    with pytest.raises(ProviderError, match=missing):
        static_metadata(provider(**{**ENDPOINTS, missing: None}))


def test_a_shared_secret_needs_no_jwks() -> None:
    options = {**ENDPOINTS, "jwks_uri": None, "id_token_algorithms": ["HS256"]}
    assert static_metadata(provider(**options)).jwks_uri == ""


@pytest.mark.parametrize(
    ("choice", "listed", "used"),
    [
        pytest.param("auto", None, True, id="auto, nothing listed"),
        pytest.param("auto", (), True, id="auto, an empty list"),
        pytest.param("auto", ("plain", "S256"), True, id="auto, S256 listed"),
        pytest.param("auto", ("plain",), False, id="auto, only plain listed"),
        pytest.param("on", ("plain",), True, id="on whatever is listed"),
        pytest.param("off", ("S256",), False, id="off whatever is listed"),
    ],
)
def test_pkce_used(choice: str, listed: tuple[str, ...] | None, used: bool) -> None:
    metadata = Metadata(ISSUER, METADATA.authorization_endpoint, "", "", pkce_methods=listed)
    assert pkce_used(metadata, provider(pkce=choice)) is used


PAR, ALIAS = "pushed_authorization_request_endpoint", "https://mtls.idp.example.org"
ALIASES = {
    "mtls_endpoint_aliases": {
        "token_endpoint": f"{ALIAS}/token",
        "revocation_endpoint": f"{ALIAS}/revoke",
        PAR: f"{ALIAS}/par",
        "authorization_endpoint": f"{ALIAS}/never",
    },
    "revocation_endpoint": f"{ISSUER}/revoke",
    PAR: f"{ISSUER}/par",
}


def test_reads_what_is_said_of_pushed_requests_and_assertions() -> None:
    more = {
        PAR: f"{ISSUER}/par",
        "require_pushed_authorization_requests": True,
        "token_endpoint_auth_signing_alg_values_supported": ["PS256", 7, "ES256"],
    }
    metadata = read_metadata(DOCUMENT | more, provider())
    assert metadata.pushed_authorization_request_endpoint == f"{ISSUER}/par"
    assert metadata.requires_pushed
    assert metadata.token_auth_algorithms == ("PS256", "ES256")


@pytest.mark.parametrize(
    ("options", "used"),
    [
        pytest.param({"tls_certificate_file": "c"}, True, id="auto, with a certificate"),
        pytest.param({"token_auth_method": "tls_client_auth"}, True, id="mutual TLS"),
        pytest.param({}, False, id="a secret"),
        pytest.param(
            {"tls_certificate_file": "c", "client_key_file": "k"}, False, id="auto, with a key"
        ),
        pytest.param(
            {"tls_certificate_file": "c", "token_auth_method": "client_secret_post"},
            False,
            id="a secret, and a certificate for something else",
        ),
    ],
)
def test_the_aliases_are_for_whoever_proves_itself_by_certificate(
    options: dict[str, object], used: bool
) -> None:
    found = read_metadata(DOCUMENT | ALIASES, provider(**options))
    base = ALIAS if used else ISSUER
    assert found.token_endpoint == f"{base}/token"
    assert found.revocation_endpoint == f"{base}/revoke"
    assert found.pushed_authorization_request_endpoint == f"{base}/par"
    # those that browsers go to, and those without an alias, stay what they are
    assert found.authorization_endpoint == f"{ISSUER}/authorize"
    assert found.userinfo_endpoint == f"{ISSUER}/userinfo"


def test_settings_win_over_aliases() -> None:
    mine = "https://sovereign.example.org/token"
    options = provider(token_endpoint=mine, token_auth_method="tls_client_auth")
    assert read_metadata(DOCUMENT | ALIASES, options).token_endpoint == mine


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        pytest.param(
            {"mtls_endpoint_aliases": [ALIAS]},
            {"token_auth_method": "tls_client_auth"},
            id="aliases in a list",
        ),
        pytest.param(
            {"mtls_endpoint_aliases": {"token_endpoint": "http://idp.example.org/"}},
            {"token_auth_method": "tls_client_auth"},
            id="an alias without TLS",
        ),
        pytest.param(
            {"mtls_endpoint_aliases": {"token_endpoint": 7}},
            {"token_auth_method": "tls_client_auth"},
            id="an alias that is a number",
        ),
        pytest.param({PAR: "http://idp.example.org/par"}, {}, id="pushed over http"),
        pytest.param({PAR: ["https://idp.example.org/par"]}, {}, id="pushed to a list"),
        pytest.param(
            {"require_pushed_authorization_requests": "true"}, {}, id="demanded as a text"
        ),
    ],
)
def test_refuses_what_is_said_of_them(
    changes: dict[str, object], options: dict[str, object]
) -> None:
    with pytest.raises(ProviderError) as error:
        read_metadata(DOCUMENT | changes, provider(**options))
    assert error.value.reason is Reason.PROVIDER_METADATA_INVALID


@pytest.mark.parametrize(
    ("changes", "options", "missing"),
    [
        pytest.param(
            {"token_endpoint": None, "jwks_uri": None}, {}, ("token_endpoint", "jwks_uri"), id="two"
        ),
        pytest.param(
            {"userinfo_endpoint": None},
            {"claims_source": "userinfo"},
            ("userinfo_endpoint",),
            id="userinfo",
        ),
        pytest.param({}, {"pushed_authorization": "on"}, (PAR,), id="pushed requests are wanted"),
        pytest.param(
            {"require_pushed_authorization_requests": True}, {}, (PAR,), id="and demanded"
        ),
    ],
)
def test_all_that_is_missing_is_named(
    changes: dict[str, object], options: dict[str, object], missing: tuple[str, ...]
) -> None:
    with pytest.raises(Incomplete) as error:
        read_metadata(DOCUMENT | changes, provider(**options))
    assert error.value.missing == missing


@pytest.mark.parametrize("more", [{}, {"authorization_endpoint": 7, "token_endpoint": "http://x"}])
def test_of_one_whose_tokens_alone_count_little_is_read(more: dict[str, object]) -> None:
    document = {
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/keys",
        "introspection_endpoint": f"{ISSUER}/introspect",
        "id_token_signing_alg_values_supported": ["HS256"],  # not of access tokens
        **more,
    }
    found = read_issuer(document, provider())
    assert (found.issuer, found.jwks_uri) == (ISSUER, f"{ISSUER}/keys")
    assert found.introspection_endpoint == f"{ISSUER}/introspect"
    assert found.id_token_algorithms == provider().id_token_algorithms
    assert (found.authorization_endpoint, found.token_endpoint) == ("", "")
    told = provider(jwks_uri="https://keys.example.org/")
    assert read_issuer(document, told).jwks_uri == "https://keys.example.org/"


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"issuer": f"{ISSUER}/"}, {"issuer": ISSUER, "jwks_uri": "http://k.example"}],
)
def test_of_such_a_one_the_issuer_is_compared_too(document: object) -> None:
    with pytest.raises(ProviderError):
        read_issuer(document, provider())


def test_what_the_settings_say_of_it_is_checked_as_well() -> None:
    assert issuer_metadata(provider(), f"{ISSUER}/keys").jwks_uri == f"{ISSUER}/keys"
    with pytest.raises(ProviderError):
        issuer_metadata(provider(), "http://k.example")
