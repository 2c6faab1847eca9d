"""Bearer tokens of issuers: every one that must be refused, and what is made of a good one.

The class is a bearer JWT accepted without a look at aud, iss or exp (GHSA-wcvh).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.jwk import encode_base64url
from proxy.crypto.jwt import UnknownKey, parse_jwks
from proxy.errors import BearerRefused, Reason
from proxy.oidc.bearer import (
    LONGEST,
    Believed,
    Terms,
    claimed_issuer,
    scopes_of,
    verify_bearer,
)
from tests.crypto.forge import ec_key, ed_key, rsa_key, token, token_of
from tests.oidc.acts import MISSING, changed
from tests.oidc.scene import CLIENT, ISSUER, METADATA, NOW, SECRET, keys, provider

API = "https://app.example.org"
GOOD: Mapping[str, object] = {
    "iss": ISSUER,
    "sub": "704e-1",
    "aud": API,
    "exp": NOW + 600,
    "iat": NOW,
    "jti": "jti-1",
    "client_id": "a-program",
    "scope": "openid models",
}
TERMS = Terms((API, CLIENT))


def made(changes: Mapping[str, object] | None = None, **header: object) -> str:
    return token(changed(GOOD, changes or {}), rsa_key(), "RS256", **{"typ": "at+jwt", **header})


def judged(text: str, terms: Terms = TERMS, **options: object) -> Believed:
    settings = provider(**{"id_token_algorithms": ("RS256", "ES256", "HS256"), **options})
    return verify_bearer(text, keys(), provider=settings, metadata=METADATA, terms=terms, now=NOW)


def id_token(**changes: object) -> dict[str, object]:
    """What makes an ID token of the good one."""
    return {"aud": CLIENT, "nonce": "n", "client_id": MISSING, "scope": MISSING, **changes}


KEYCLOAK = {"typ": "Bearer", "azp": "other", "nonce": "n", "aud": [API, "account"]}
ACCEPTED = [
    pytest.param({}, {}, id="an access token (RFC 9068)"),
    pytest.param({}, {"typ": "application/at+jwt"}, id="with the whole media type"),
    pytest.param({}, {"typ": "JWT"}, id="typ JWT"),
    pytest.param({}, {"typ": None}, id="no typ"),
    pytest.param({"aud": [API]}, {}, id="aud a list"),
    pytest.param({"aud": ["other", API]}, {}, id="aud names others too"),
    pytest.param({"azp": "other"}, {"typ": "JWT"}, id="given to another client"),
    pytest.param({"nonce": "n", "azp": "other"}, {}, id="an access token with a nonce"),
    pytest.param(KEYCLOAK, {"typ": "JWT"}, id="an old Keycloak's"),
    pytest.param({"exp": NOW - 59}, {}, id="over for 59 s"),
    pytest.param({"iat": NOW + 59, "nbf": NOW + 59}, {}, id="59 s ahead"),
    pytest.param({"iat": MISSING, "jti": MISSING}, {}, id="neither iat nor jti"),
    pytest.param(id_token(), {"typ": "JWT"}, id="an ID token for us"),
    pytest.param(id_token(aud=[CLIENT], azp=CLIENT), {"typ": "JWT"}, id="an ID token, azp is us"),
    pytest.param(
        id_token(aud=[CLIENT, "x"], azp=CLIENT), {"typ": "JWT"}, id="an ID token for us and more"
    ),
]


@pytest.mark.parametrize(("changes", "header"), ACCEPTED)
def test_accepts(changes: dict[str, object], header: dict[str, object]) -> None:
    found = judged(made(changes, **header))
    assert (found.issuer, found.claims["sub"]) == (ISSUER, "704e-1")
    assert found.expires_at == changes.get("exp", NOW + 600) + 60  # type: ignore[operator]


def repeated(member: bytes) -> str:
    body = json.dumps(dict(GOOD)).encode()
    return token(body[:-1] + b"," + member + b"}", rsa_key(), "RS256", typ="at+jwt")


def own_identity_jwt() -> str:
    """As upstreams get it: signed by us, for them."""
    claims = {**GOOD, "iss": "https://app.example.org", "aud": "api", "scope": "playground"}
    return token(claims, ec_key("ours"), "ES256")


def spliced() -> str:
    """A good signature under other claims."""
    head, _, signature = made().split(".")
    body = encode_base64url(json.dumps({**GOOD, "sub": "root"}).encode())
    return f"{head}.{body}.{signature}"


PUBLIC = json.dumps(rsa_key().jwk()).encode()
BODY = json.dumps(dict(GOOD)).encode()
REFUSED: list[object] = [
    # what signed it
    pytest.param(lambda: token(GOOD, b"", "none"), id="alg none"),
    pytest.param(lambda: token(GOOD, b"", "None"), id="alg None"),
    pytest.param(lambda: token(GOOD, b"", ""), id="alg empty"),
    pytest.param(lambda: token(GOOD, PUBLIC, "HS256", kid="rsa"), id="HS256 with the public key"),
    pytest.param(lambda: token(GOOD, SECRET.encode(), "HS256"), id="HS256, the client's secret"),
    pytest.param(lambda: token(GOOD, rsa_key(), "PS256"), id="an algorithm that is not listed"),
    pytest.param(lambda: token(GOOD, rsa_key("thief"), "RS256", kid="rsa"), id="another's key"),
    pytest.param(lambda: token(GOOD, rsa_key("thief"), "RS256", kid="rsa",
                               jwk=rsa_key("thief").jwk()), id="its own key in the header"),
    pytest.param(lambda: token(GOOD, rsa_key("thief"), "RS256", kid="rsa",
                               jku="https://evil.example/jwks"), id="where to find its key"),
    pytest.param(lambda: token(GOOD, ec_key(), "ES256", kid="rsa"), id="a key of another type"),
    pytest.param(lambda: made(crit=["exp"]), id="crit"),
    pytest.param(lambda: made(kid=7), id="kid a number"),
    pytest.param(lambda: made()[:-8], id="a signature cut short"),
    pytest.param(spliced, id="a signature of other claims"),
    pytest.param(lambda: made().rpartition(".")[0] + ".", id="no signature"),
    # its form
    pytest.param(lambda: "", id="empty"),
    pytest.param(lambda: "opaque", id="opaque"),
    pytest.param(lambda: "é." * 3, id="not ASCII"),
    pytest.param(lambda: f"{made()}.x.y", id="five parts"),
    pytest.param(lambda: "a" * 2_000_000, id="2 MB of letters"),
    pytest.param(lambda: made({"groups": ["g" * 60] * 34_000}), id="2 MB, well signed"),
    pytest.param(lambda: made({"x": "y" * LONGEST}), id="larger than the limit"),
    pytest.param(lambda: repeated(b'"sub":"root"'), id="sub twice"),
    pytest.param(lambda: repeated(b'"aud":"api"'), id="aud twice"),
    pytest.param(lambda: repeated(b'"exp":NaN'), id="NaN"),
    pytest.param(lambda: token(b"[]", rsa_key(), "RS256"), id="claims a list"),
    pytest.param(lambda: token(b"\xff", rsa_key(), "RS256"), id="claims not UTF-8"),
    pytest.param(lambda: token_of(b'{"alg":"RS256","kid":"rsa","alg":"none"}', GOOD, rsa_key(),
                                  "RS256"), id="alg twice"),
    pytest.param(lambda: token(b'{"a":' * 5000 + b"1" + b"}" * 5000, rsa_key(), "RS256"),
                 id="nested deeply"),
    # what kind it is
    pytest.param(lambda: made(typ="logout+jwt"), id="a logout token"),
    pytest.param(lambda: made(typ="secevent+jwt"), id="a security event token"),
    pytest.param(lambda: made(typ="dpop+jwt"), id="a DPoP proof"),
    pytest.param(lambda: made(typ="token-introspection+jwt"), id="an introspection's answer"),
    pytest.param(lambda: made(typ=7), id="typ a number"),
    pytest.param(lambda: made({"events": {}}, typ="JWT"), id="a logout token of the old kind"),
    pytest.param(lambda: made({"typ": "Refresh"}, typ="JWT"), id="Keycloak's refresh token"),
    pytest.param(lambda: made({"typ": "Offline"}, typ="JWT"), id="Keycloak's offline token"),
    pytest.param(lambda: made({"token_use": "refresh_token"}, typ="JWT"), id="a refresh token"),
    pytest.param(own_identity_jwt, id="our own identity JWT"),
    pytest.param(lambda: made({"cnf": {"jkt": "x"}}), id="bound by DPoP"),
    pytest.param(lambda: made({"cnf": {"x5t#S256": "x"}}), id="bound to a certificate"),
    pytest.param(lambda: made({"cnf": None}), id="cnf null"),
    # whose it is
    pytest.param(lambda: made({"iss": MISSING}), id="no iss"),
    pytest.param(lambda: made({"iss": ISSUER + "/"}), id="iss with a slash more"),
    pytest.param(lambda: made({"iss": ISSUER.upper()}), id="iss in capitals"),
    pytest.param(lambda: made({"iss": "https://evil.example"}), id="another's iss"),
    pytest.param(lambda: made({"iss": [ISSUER]}), id="iss a list"),
    pytest.param(lambda: made({"sub": MISSING}), id="no sub"),
    pytest.param(lambda: made({"sub": ""}), id="sub empty"),
    pytest.param(lambda: made({"sub": 7}), id="sub a number"),
    pytest.param(lambda: made({"sub": "a\nb"}), id="sub with a newline"),
    # whom it is for
    pytest.param(lambda: made({"aud": MISSING}), id="no aud"),
    pytest.param(lambda: made({"aud": None}), id="aud null"),
    pytest.param(lambda: made({"aud": []}), id="aud an empty list"),
    pytest.param(lambda: made({"aud": ""}), id="aud empty"),
    pytest.param(lambda: made({"aud": "other"}), id="aud is another"),
    pytest.param(lambda: made({"aud": API + "/"}), id="aud with a slash more"),
    pytest.param(lambda: made({"aud": [[API]]}), id="aud nested"),
    pytest.param(lambda: made({"aud": [API, 7]}), id="a number in aud"),
    pytest.param(lambda: made({"aud": {API: True}}), id="aud an object"),
    pytest.param(lambda: made({"aud": f"{API} other"}), id="aud with spaces"),
    pytest.param(lambda: made(id_token(aud="other"), typ="JWT"), id="another client's ID token"),
    pytest.param(lambda: made(id_token(azp="other"), typ="JWT"), id="an ID token, azp another"),
    pytest.param(lambda: made(id_token(aud=[API, "x"]), typ="JWT"), id="an ID token, no azp"),
    pytest.param(lambda: made(id_token(aud=[API, "x"], azp="x", nonce=MISSING, at_hash="h"),
                              typ="JWT"), id="an ID token, told by at_hash"),
    pytest.param(lambda: made({"typ": "ID", "azp": "other"}, typ="JWT"), id="Keycloak's ID token"),
    pytest.param(lambda: made({"token_use": "id", "azp": "x"}, typ="JWT"), id="Cognito's ID token"),
    # when it is good
    pytest.param(lambda: made({"exp": MISSING}), id="no exp"),
    pytest.param(lambda: made({"exp": NOW - 60}), id="over"),
    pytest.param(lambda: made({"exp": None}), id="exp null"),
    pytest.param(lambda: made({"exp": str(int(NOW + 600))}), id="exp a text"),
    pytest.param(lambda: made({"exp": True}), id="exp true"),
    pytest.param(lambda: made({"exp": 1e300}), id="exp beyond all times"),
    pytest.param(lambda: made({"iat": NOW + 61}), id="iat in the future"),
    pytest.param(lambda: made({"nbf": NOW + 61}), id="not yet good"),
    pytest.param(lambda: made({"iat": "now"}), id="iat a text"),
]  # fmt: skip


@pytest.mark.parametrize("make", REFUSED)
def test_refuses(make: Callable[[], str]) -> None:
    with pytest.raises((BearerRefused, UnknownKey)) as refused:
        judged(make())
    if isinstance(refused.value, BearerRefused):
        assert (refused.value.status, refused.value.error) == (401, "invalid_token")
        assert refused.value.detail.isprintable()
        assert len(refused.value.detail) < 300


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: token(GOOD, ed_key("theirs"), "EdDSA"), id="algorithm not listed"),
        pytest.param(lambda: token(GOOD, rsa_key("theirs"), "RS256"), id="kid of another issuer"),
    ],
)
def test_another_issuers_key_is_no_key_here(make: Callable[[], str]) -> None:
    with pytest.raises((BearerRefused, UnknownKey)):
        judged(make())


def test_keys_of_another_issuer_do_not_open_ours() -> None:
    theirs = parse_jwks({"keys": [rsa_key("theirs").jwk()]})
    with pytest.raises(UnknownKey):
        verify_bearer(made(), theirs, provider=provider(), metadata=METADATA, terms=TERMS, now=NOW)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param({"scope": "a b"}, ("a", "b"), id="a text"),
        pytest.param({"scp": ["a", "b"]}, ("a", "b"), id="Okta's list"),
        pytest.param({"scp": "a b"}, ("a", "b"), id="Entra's text"),
        pytest.param({"scope": "a", "scp": ["b", "a"]}, ("a", "b"), id="both"),
        pytest.param({"scope": ["a b", 7, "", None, ["c"]]}, (), id="what is no scope"),
        pytest.param({"scope": {"a": 1}}, (), id="an object"),
        pytest.param({"scope": "  a\t "}, ("a\t",), id="odd spaces belong to the scope"),
        pytest.param({}, (), id="none"),
    ],
)
def test_scopes(claims: dict[str, object], expected: tuple[str, ...]) -> None:
    assert scopes_of(claims) == expected


@pytest.mark.parametrize("scope", ["models", "openid", "models openid models"])
def test_scopes_that_are_wanted_and_there(scope: str) -> None:
    assert judged(made(), Terms((API,), tuple(scope.split()))).scopes == ("openid", "models")


@pytest.mark.parametrize("scope", [MISSING, "", "model", "openid.models", ["models openid"]])
def test_a_missing_scope_is_a_different_refusal(scope: object) -> None:
    with pytest.raises(BearerRefused) as refused:
        judged(made({"scope": scope}), Terms((API,), ("models", "openid")))
    found = refused.value
    assert (found.status, found.error, found.reason) == (
        403, "insufficient_scope", Reason.SCOPE_MISSING
    )  # fmt: skip
    assert found.scope == "models openid"


TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
OTHER = "11111111-2b34-4da1-9baa-8bc8c9d6a490"


@pytest.mark.parametrize(
    ("tenant", "issuer", "reason"),
    [
        pytest.param(TENANT, TENANT, None, id="an allowed tenant"),
        pytest.param(OTHER, OTHER, Reason.TENANT_NOT_ALLOWED, id="another tenant"),
        pytest.param(TENANT, OTHER, Reason.TOKEN_INVALID, id="tid is not that of iss"),
    ],
)
def test_of_many_tenants_one_that_is_allowed(
    tenant: str, issuer: str, reason: Reason | None
) -> None:
    template = "https://login.example.org/{tenantid}/v2.0"
    settings = provider(preset="entra", issuer_url=template, entra={"allowed_tenants": [TENANT]})
    metadata = replace(METADATA, issuer=template)
    text = made({"iss": template.replace("{tenantid}", issuer), "tid": tenant}, typ="JWT")

    def verify() -> Believed:
        return verify_bearer(
            text, keys(), provider=settings, metadata=metadata, terms=TERMS, now=NOW
        )

    if reason is None:
        assert verify().issuer == template.replace("{tenantid}", TENANT)
        return
    with pytest.raises(BearerRefused) as refused:
        verify()
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(made(), ISSUER, id="a JWT"),
        pytest.param(spliced(), ISSUER, id="a forged one: it only tells whom to ask"),
        pytest.param("sk-12345", "", id="opaque"),
        pytest.param("a.b.c", "", id="three parts"),
        pytest.param(f"{made()}.x", "", id="four parts"),
        pytest.param(made({"iss": MISSING}), "", id="no iss"),
        pytest.param(made({"iss": [ISSUER]}), "", id="iss a list"),
        pytest.param("x." + base64.b64encode(BODY).decode() + "=.y", "", id="not base64url"),
        pytest.param("." * 2_000_000, "", id="2 MB"),
    ],
)
def test_whom_to_ask(text: str, expected: str) -> None:
    assert claimed_issuer(text) == expected


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*){0,4}"))
def test_any_text_is_refused_in_the_same_way(text: str) -> None:
    assert claimed_issuer(text) == ""
    with pytest.raises((BearerRefused, UnknownKey)):
        judged(text)


def test_nothing_of_the_token_is_shown() -> None:
    found = judged(made())
    assert "704e" not in repr(found)
    with pytest.raises(BearerRefused) as refused:
        judged(made({"aud": "other"}))
    assert made({"aud": "other"})[:40] not in str(refused.value)
