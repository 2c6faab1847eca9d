"""From what a sign-in brought to a person: requirements R060 to R068 and B12 to B16, by number.

Groups and roles are in test_person_groups.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.person import Claims, Role
from proxy.config.providers import resolved
from proxy.errors import LoginError, Reason
from proxy.model import Identity
from proxy.oidc.person import person
from proxy.oidc.roles import RoleTable
from proxy.oidc.userinfo import Userinfo
from tests.oidc.acts import Changes, told, who
from tests.oidc.scene import ISSUER, provider

SUB = {"sub": "704e-1"}
TABLE = RoleTable.compile((Role(name="viewer", groups=("viewers",)),))


def _identity(claims: Changes, **mapping: object) -> Identity:
    return who(claims, mapping).identity


def _reason(claims: Changes, mapping: Changes | None = None, **parts: Any) -> Reason:
    with pytest.raises(LoginError) as error:
        who(claims, mapping, **parts)
    assert error.value.detail.isprintable()
    return error.value.reason


def test_r060_a_whole_person() -> None:
    claims: dict[str, object] = {
        "email": "Jean.DUPONT@Interieur.gouv.fr",
        "email_verified": True,
        "given_name": "Jean",
        "usual_name": "DUPONT",
        "picture": "https://example.org/jean.png",
        "preferred_username": "jd",
        "groups": ["viewers", "b"],
        "acr": "eidas1-mfa",
        "amr": ["pwd", "otp"],
        "auth_time": 1_800_000_000.5,
        "siret": "11001401500015",
        "idp_id": "x",
        "phone": "1",
    }
    mapping = {
        "name": ("given_name", "usual_name"),
        "last_name": "usual_name",
        "extra": ("siret", "absent"),
    }
    settings = provider(claims=mapping, name="idp")
    found = person(told(claims), settings, TABLE, keep=("idp_id", "siret"))
    assert found.identity == Identity(
        issuer=ISSUER,
        subject="704e-1",
        user="704e-1",
        email="jean.dupont@interieur.gouv.fr",
        email_verified=True,
        name="Jean DUPONT",
        preferred_username="jd",
        groups=("viewers", "b"),
        acr="eidas1-mfa",
        amr=("pwd", "otp"),
        auth_time=1_800_000_000,
        claims={"siret": "11001401500015", "idp_id": "x"},
        provider="idp",
        first_name="Jean",
        last_name="DUPONT",
        picture="https://example.org/jean.png",
        role="viewer",
        roles=("viewer",),
    )
    assert found.groups == {"id_token": ("viewers", "b")}
    assert (found.role_source, found.notes) == ("group 'viewers'", ())


def test_r060_the_least_person() -> None:
    found = who({})
    assert found.identity == Identity(ISSUER, "704e-1", "704e-1", provider="idp")
    assert (dict(found.groups), found.notes) == ({}, ())


def test_r065_entra_s_attributes_by_its_preset() -> None:
    entra = resolved(provider(preset="entra"), Claims())
    claims = {"oid": "o-1", "name": "Zoé", "roles": ["viewer"], "upn": "z@b.fr"}
    found = person(told(claims), entra, TABLE).identity
    assert (found.user, found.subject, found.name) == ("o-1", "704e-1", "Zoé")
    assert (found.email, found.role) == ("", "viewer")


@pytest.mark.parametrize(
    ("claims", "mapping"),
    [
        pytest.param({"sub": None}, {}, id="no sub"),
        pytest.param({"sub": None, "uid": "u"}, {"user": "uid"}, id="a user id but no sub"),
        pytest.param({"sub": "me\r\nX: y"}, {}, id="sub with CRLF"),
        pytest.param({}, {"user": "uid"}, id="no user id"),
        pytest.param({"uid": ""}, {"user": "uid"}, id="empty user id"),
        pytest.param({"uid": "a\x00b"}, {"user": "uid"}, id="user id with NUL"),
        pytest.param({"uid": " a"}, {"user": "uid"}, id="user id begins with a space"),
        pytest.param({"uid": True}, {"user": "uid"}, id="user id true"),
        pytest.param({"uid": ["a"]}, {"user": "uid"}, id="user id in a list"),
        pytest.param(
            {"given_name": "Ann", "family_name": "Lee", "email": "a@b.fr"},
            {"user": "preferred_username"},
            id="B13: never made up from names",
        ),
        pytest.param({"email": "a@b@c"}, {"user": "email"}, id="user is an e-mail that is none"),
        pytest.param(
            {"email": "a@b.fr"}, {"user": "uid", "user_fallback": "email"}, id="fallback unproven"
        ),
        pytest.param(
            {"email": "a@b.fr", "email_verified": False},
            {"user": "uid", "user_fallback": "email"},
            id="fallback unverified",
        ),
        pytest.param(
            {"email": "a@b.fr", "email_verified": True, "uid": "a\n"},
            {"user": "uid", "user_fallback": "email"},
            id="no fallback for an id that is not safe",
        ),
        pytest.param(
            {"upn": "a@b.fr", "email_verified": True},
            {"user": "uid", "email": "upn", "user_fallback": "email"},
            id="fallback to an address that was not verified",
        ),
    ],
)
def test_r063_incomplete(claims: dict[str, object], mapping: dict[str, object]) -> None:
    assert _reason(claims, mapping) is Reason.IDENTITY_INCOMPLETE


@pytest.mark.parametrize(
    ("claims", "mapping", "user"),
    [
        pytest.param({"preferred_username": "jd"}, {}, "704e-1", id="B12: sub, not a user name"),
        pytest.param({"uid": "U1"}, {"user": "uid"}, "U1", id="another claim"),
        pytest.param({"ids": {"n": 7}}, {"user": "ids.n"}, "7", id="a number, deep down"),
        pytest.param({"email": "A@B.fr"}, {"user": "email"}, "a@b.fr", id="the e-mail, normalised"),
        pytest.param(
            {"email": "A@B.fr", "email_verified": True},
            {"user": "uid", "user_fallback": "email"},
            "a@b.fr",
            id="fallback to a verified e-mail",
        ),
        pytest.param(
            {"uid": "U1", "email": "A@B.fr", "email_verified": True},
            {"user": "uid", "user_fallback": "email"},
            "U1",
            id="the fallback is not needed",
        ),
    ],
)
def test_r063_user(claims: dict[str, object], mapping: dict[str, object], user: str) -> None:
    found = _identity(claims, **mapping)
    assert (found.user, found.subject) == (user, "704e-1")


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param({"name": " Zoé  D "}, "Zoé  D", id="name"),
        pytest.param({"name": "", "preferred_username": "zd"}, "zd", id="else the username"),
        pytest.param({"email": "Z@b.fr"}, "z@b.fr", id="else the e-mail"),
        pytest.param({"name": "Zoé\r\nX: y", "email": "z@b.fr"}, "z@b.fr", id="CRLF is dropped"),
        pytest.param({"name": "Zoé\u202e", "email": "z@b.fr"}, "z@b.fr", id="override is dropped"),
        pytest.param({"name": {"first": "Zoé"}}, "", id="an object is dropped"),
    ],
)
def test_r066_name(claims: dict[str, object], expected: str) -> None:
    assert _identity(claims).name == expected


def test_r066_name_from_several_claims_leaves_out_what_is_missing() -> None:
    assert _identity({"last": "Lee"}, name=["first", "last"]).name == "Lee"


@pytest.mark.parametrize(
    ("claims", "field", "expected"),
    [
        pytest.param({"acr": ["a"]}, "acr", "", id="acr in a list"),
        pytest.param({"amr": "pwd otp"}, "amr", ("pwd", "otp"), id="amr as one text"),
        pytest.param({"amr": {"pwd": 1}}, "amr", (), id="amr an object"),
        pytest.param({"auth_time": "now"}, "auth_time", None, id="auth_time a text"),
        pytest.param({"email": "a@b@c"}, "email", "", id="B15: two @"),
        pytest.param({"email": ["a@b.fr"]}, "email", "", id="e-mail in a list"),
        pytest.param({"given_name": "A\0"}, "first_name", "", id="NUL in a name"),
        pytest.param({"picture": "javascript:x"}, "picture", "", id="picture is a script"),
    ],
)
def test_odd_claims_count_as_absent(
    claims: dict[str, object], field: str, expected: object
) -> None:
    assert getattr(_identity(claims), field) == expected


def test_r067_the_issuer_is_the_token_s_own() -> None:
    assert who({}, issuer="https://tenant.example.org").identity.issuer.startswith("https://ten")


@pytest.mark.parametrize(
    ("id_hd", "userinfo_hd", "good"),
    [
        pytest.param("example.org", None, True, id="ours"),
        pytest.param("Example.ORG", None, True, id="in another case"),
        pytest.param("evil.org", None, False, id="another"),
        pytest.param("sub.example.org", None, False, id="a subdomain"),
        pytest.param(None, None, False, id="none"),
        pytest.param("", None, False, id="empty"),
        pytest.param(["example.org"], None, False, id="a list"),
        pytest.param(None, "example.org", False, id="userinfo says so"),
        pytest.param("evil.org", "example.org", False, id="userinfo says otherwise"),
    ],
)
def test_hosted_domains(id_hd: object, userinfo_hd: object, good: bool) -> None:
    said = Userinfo({**SUB, "hd": userinfo_hd})
    parts: dict[str, Any] = {"userinfo": said, "options": {"hosted_domains": ["example.org"]}}
    if good:
        assert who({"hd": id_hd}, **parts).identity.subject == "704e-1"
    else:
        assert _reason({"hd": id_hd}, **parts) is Reason.EMAIL_NOT_ALLOWED


@pytest.mark.parametrize(
    ("domains", "email", "reason"),
    [
        pytest.param(["b.fr"], "a@B.fr", None, id="of the domain"),
        pytest.param([".b.fr"], "a@x.b.fr", None, id="of a subdomain"),
        pytest.param(["*"], "a@b.fr", None, id="of any"),
        pytest.param(["b.fr"], "a@c.fr", Reason.EMAIL_NOT_ALLOWED, id="of another"),
        pytest.param([".b.fr"], "a@notb.fr", Reason.EMAIL_NOT_ALLOWED, id="B15: label by label"),
        pytest.param(["b.fr"], "a@b.fr@c.fr", Reason.EMAIL_MISSING, id="B15: two @"),
        pytest.param(["b.fr"], None, Reason.EMAIL_MISSING, id="B14: no e-mail"),
        pytest.param(["*"], None, Reason.EMAIL_MISSING, id="B14: no e-mail for any"),
    ],
)
def test_email_domains(domains: list[str], email: str | None, reason: Reason | None) -> None:
    options = {"email_domains": domains}
    if reason is None:
        assert who({"email": email}, options=options).identity.email
    else:
        assert _reason({"email": email}, options=options) is reason


OURS, THEIRS = "8d1e39ab-0000-4000-8000-00000000000a", "8d1e39ab-0000-4000-8000-00000000000b"
MANY = "https://login.example.org/{tenantid}/v2.0"


@pytest.mark.parametrize(
    ("allowed", "tenant", "good"),
    [
        pytest.param([OURS], OURS, True, id="allowed"),
        pytest.param([OURS.upper()], OURS, True, id="allowed in capitals"),
        pytest.param([OURS], THEIRS, False, id="another"),
        pytest.param([], OURS, False, id="none is allowed"),
        pytest.param([OURS], "{tenantid}", False, id="the template itself"),
    ],
)
def test_a_tenant_must_be_allowed_now(allowed: list[str], tenant: str, good: bool) -> None:
    options = {"issuer_url": MANY, "entra": {"allowed_tenants": allowed}}
    issuer = MANY.replace("{tenantid}", tenant)
    if good:
        assert who({}, options=options, issuer=issuer).identity.issuer == issuer
    else:
        assert _reason({}, options=options, issuer=issuer) is Reason.TENANT_NOT_ALLOWED


def test_no_claims_at_all() -> None:
    reason = _reason({}, userinfo=Userinfo(problem="status 500"))
    assert reason is Reason.NO_CLAIMS


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_names = st.sampled_from(
    ["email", "email_verified", "name", "groups", "role", "acr", "amr", "auth_time", "picture", "x"]
)


@given(st.dictionaries(_names, _json))
def test_any_claims_make_a_person_fit_for_headers(claims: dict[str, object]) -> None:
    found = who(claims, {"extra": ["x"]})
    one = found.identity
    texts = [one.user, one.email, one.name, one.acr, one.picture, *one.groups, *one.amr]
    texts += [one.role, *one.roles, found.role_source, *found.notes]
    assert not any(ord(c) < 0x20 or ord(c) == 0x7F for text in texts for c in text)
    json.dumps([*texts, one.email_verified, one.auth_time, dict(one.claims)])
    "".join(texts).encode("utf-8")
