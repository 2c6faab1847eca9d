"""Whose token it is: the exact issuer's, or one of the tenants' of Entra's template."""

from __future__ import annotations

import pytest

from proxy.config.provider import Entra
from proxy.oidc.facts import ClaimRefused
from proxy.oidc.issuer import TenantRefused, accepts, check_tenant, is_issuer

TENANT = "8d1e39ab-0000-4000-8000-00000000000a"
MANY = "https://login.example.org/{tenantid}/v2.0"
ONE = f"https://login.example.org/{TENANT}/v2.0"


@pytest.mark.parametrize(
    ("known", "claims"),
    [
        pytest.param("https://a.org", {"iss": "https://a.org"}, id="exactly"),
        pytest.param("https://a.org/", {"iss": "https://a.org/"}, id="slash and all"),
        pytest.param(ONE, {"iss": ONE, "tid": "whatever"}, id="exactly, tid does not matter"),
        pytest.param(MANY, {"iss": ONE, "tid": TENANT}, id="a tenant of the template"),
    ],
)
def test_accepts(known: str, claims: dict[str, object]) -> None:
    assert accepts(known, claims) == claims["iss"]
    assert is_issuer(known, str(claims["iss"]))


@pytest.mark.parametrize(
    ("known", "claims"),
    [
        pytest.param("https://a.org", {"iss": "https://a.org/"}, id="a slash more"),
        pytest.param("https://a.org", {"iss": "https://A.org"}, id="another case"),
        pytest.param("https://a.org", {}, id="no iss"),
        pytest.param("https://a.org", {"iss": ["https://a.org"]}, id="iss in a list"),
        pytest.param("", {"iss": ""}, id="no issuer is known"),
        pytest.param("", {}, id="no issuer is known, and no iss"),
        pytest.param(MANY, {"iss": MANY, "tid": "{tenantid}"}, id="the template itself"),
        pytest.param(MANY, {"iss": ONE.replace(TENANT, "x"), "tid": "x"}, id="tid is no GUID"),
        pytest.param(MANY, {"iss": ONE.replace(TENANT, ""), "tid": ""}, id="tid is empty"),
        pytest.param(
            MANY, {"iss": ONE.replace("8d1e39ab", "8D1E39AB"), "tid": TENANT}, id="iss in capitals"
        ),
        pytest.param(
            MANY,
            {"iss": ONE.replace(TENANT, TENANT.upper()), "tid": TENANT.upper()},
            id="all in capitals",
        ),
        pytest.param(MANY, {"iss": ONE.replace("login", "evil"), "tid": TENANT}, id="elsewhere"),
        pytest.param(MANY, {"iss": ONE + "/", "tid": TENANT}, id="a slash after the tenant's"),
        pytest.param(
            MANY, {"iss": ONE.replace(TENANT, f"{TENANT}\n"), "tid": f"{TENANT}\n"}, id="a newline"
        ),
    ],
)
def test_refuses(known: str, claims: dict[str, object]) -> None:
    with pytest.raises(ClaimRefused) as error:
        accepts(known, claims)
    assert str(error.value).isprintable()
    iss = claims.get("iss")
    assert not isinstance(iss, str) or not is_issuer(known, iss)


@pytest.mark.parametrize("tid", [None, 7, [TENANT], "8d1e39ab-0000-4000-8000-00000000000b"])
def test_another_tid_than_that_of_iss(tid: object) -> None:
    with pytest.raises(ClaimRefused):
        accepts(MANY, {"iss": ONE, "tid": tid})


@pytest.mark.parametrize(
    ("known", "allowed", "tid", "good"),
    [
        pytest.param(MANY, [TENANT], TENANT, True, id="allowed"),
        pytest.param(MANY, [TENANT.upper()], TENANT, True, id="allowed in capitals"),
        pytest.param(MANY, ["x"], TENANT, False, id="not allowed"),
        pytest.param(MANY, [], TENANT, False, id="of many, none is allowed"),
        pytest.param(ONE, [], TENANT, True, id="one tenant needs no list"),
        pytest.param(ONE, [], None, True, id="nor does any other provider"),
        pytest.param(ONE, [TENANT], None, False, id="a list needs a tid"),
        pytest.param(ONE, [TENANT], [TENANT], False, id="which is a text"),
    ],
)
def test_tenants(known: str, allowed: list[str], tid: object, good: bool) -> None:
    entra = Entra(allowed_tenants=tuple(allowed))
    if good:
        check_tenant(known, {"tid": tid}, entra)
        return
    with pytest.raises(TenantRefused):
        check_tenant(known, {"tid": tid}, entra)
