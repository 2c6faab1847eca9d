"""From verified claims to an identity that is safe to pass on."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import Claims
from proxy.errors import LoginError, Reason
from proxy.model import Identity
from proxy.oidc.claims import identity, lookup
from tests.oidc.scene import ISSUER

NESTED = {
    "realm_access": {"roles": ["a"], "none": None},
    "a.b": "exact",
    "a": {"b": "nested", "b.c": {"d": 1}},
    "kubernetes.io": {"ns": "x"},
    "https://example.org/groups": ["g"],
    "custom": {"": "empty"},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("realm_access.roles", ["a"], id="a way into an object"),
        pytest.param("a.b", "exact", id="the exact name first"),
        pytest.param(r"a.b\.c.d", 1, id="an escaped dot"),
        pytest.param(r"kubernetes\.io.ns", "x", id="an escaped dot at the start"),
        pytest.param("https://example.org/groups", ["g"], id="a name that is a URL"),
        pytest.param("missing", None, id="missing"),
        pytest.param("realm_access.missing", None, id="missing deeper"),
        pytest.param("realm_access.roles.0", None, id="no list indexes"),
        pytest.param("realm_access.none.x", None, id="through null"),
        pytest.param("a.b.c", None, id="a nested name is not looked up whole"),
        pytest.param("", None, id="empty"),
        pytest.param("custom.", "empty", id="an empty name"),
    ],
)
def test_lookup(path: str, expected: object) -> None:
    assert lookup(NESTED, path) == expected


@given(st.text(max_size=20))
def test_lookup_of_any_path_is_a_value_or_none(path: str) -> None:
    lookup(NESTED, path)


def _identity(changes: Mapping[str, object], **mapping: object) -> Identity:
    return identity({"sub": "me", **changes}, Claims.model_validate(mapping), ISSUER)


def test_a_full_identity() -> None:
    claims: dict[str, object] = {
        "sub": "704e",
        "email": "Jean.DUPONT@Interieur.gouv.fr",
        "email_verified": True,
        "given_name": "Jean",
        "usual_name": "DUPONT",
        "preferred_username": "jd",
        "groups": ["b", "a"],
        "acr": "eidas1-mfa",
        "amr": ["pwd", "otp"],
        "auth_time": 1_800_000_000.5,
        "siret": "11001401500015",
        "idp_id": "x",
        "phone": "1",
    }
    mapping = Claims(name=("given_name", "usual_name"), extra=("siret", "absent"))
    assert identity(claims, mapping, ISSUER, keep=("idp_id", "siret")) == Identity(
        issuer=ISSUER,
        subject="704e",
        user="704e",
        email="jean.dupont@interieur.gouv.fr",
        email_verified=True,
        name="Jean DUPONT",
        preferred_username="jd",
        groups=("b", "a"),
        acr="eidas1-mfa",
        amr=("pwd", "otp"),
        auth_time=1_800_000_000,
        claims={"siret": "11001401500015", "idp_id": "x"},
    )


def test_the_least_identity() -> None:
    assert _identity({}) == Identity(ISSUER, "me", "me")


@pytest.mark.parametrize(
    ("claims", "mapping"),
    [
        pytest.param({"sub": None}, {}, id="no sub"),
        pytest.param({"sub": None, "uid": "u"}, {"user": "uid"}, id="a user id but no sub"),
        pytest.param({"sub": ""}, {}, id="empty sub"),
        pytest.param({"sub": "me\r\nX: y"}, {}, id="sub with CRLF"),
        pytest.param({"sub": "me "}, {}, id="sub that headers would change"),
        pytest.param({}, {"user": "uid"}, id="no user id"),
        pytest.param({"uid": ""}, {"user": "uid"}, id="empty user id"),
        pytest.param({"uid": "a\x00b"}, {"user": "uid"}, id="user id with NUL"),
        pytest.param({"uid": " a"}, {"user": "uid"}, id="user id begins with a space"),
        pytest.param({"uid": "x" * 256}, {"user": "uid"}, id="user id too long"),
        pytest.param({"uid": True}, {"user": "uid"}, id="user id true"),
        pytest.param({"uid": ["a"]}, {"user": "uid"}, id="user id in a list"),
        pytest.param(
            {"given_name": "Ann", "family_name": "Lee", "email": "a@b.fr"},
            {"user": "preferred_username"},
            id="never made up from names or e-mail",
        ),
        pytest.param({"email": "a@b@c"}, {"user": "email"}, id="user is an e-mail that is none"),
    ],
)
def test_incomplete(claims: dict[str, object], mapping: dict[str, object]) -> None:
    with pytest.raises(LoginError) as error:
        _identity(claims, **mapping)
    assert error.value.reason is Reason.IDENTITY_INCOMPLETE


@pytest.mark.parametrize(
    ("claims", "mapping", "user"),
    [
        pytest.param({"uid": "U1"}, {"user": "uid"}, "U1", id="another claim"),
        pytest.param({"ids": {"n": 7}}, {"user": "ids.n"}, "7", id="a number, deep down"),
        pytest.param({"email": "A@B.fr"}, {"user": "email"}, "a@b.fr", id="the e-mail, normalised"),
    ],
)
def test_user(claims: dict[str, object], mapping: dict[str, object], user: str) -> None:
    found = _identity(claims, **mapping)
    assert (found.user, found.subject) == (user, "me")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(True, True, id="true"),
        pytest.param("true", True, id="the text true"),
        pytest.param(False, False, id="false"),
        pytest.param("false", False, id="the text false"),
        pytest.param("True", False, id="the text True"),
        pytest.param(1, False, id="one"),
        pytest.param("yes", False, id="another text"),
        pytest.param([True], False, id="a list"),
        pytest.param(None, None, id="null"),
    ],
)
def test_email_verified(value: object, expected: bool | None) -> None:
    found = _identity({"email": "a@b.fr", "email_verified": value})
    assert found.email_verified is expected
    assert _identity({"email": "a@b.fr"}).email_verified is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param({"upn": "boss@b.fr", "email_verified": True}, None, id="says nothing of upn"),
        pytest.param(
            {"upn": "boss@b.fr", "email": "me@b.fr", "email_verified": True}, None, id="of another"
        ),
        pytest.param(
            {"upn": "me@b.fr", "email": "Me@b.fr", "email_verified": True},
            True,
            id="the same address",
        ),
        pytest.param({"upn": "boss@b.fr", "email_verified": False}, False, id="a no stays a no"),
    ],
)
def test_email_verified_is_about_the_claim_email(
    claims: dict[str, object], expected: bool | None
) -> None:
    assert _identity(claims, email="upn").email_verified is expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param({"name": " Zoé  D "}, "Zoé  D", id="name"),
        pytest.param({"name": "", "preferred_username": "zd"}, "zd", id="else the username"),
        pytest.param({"email": "Z@b.fr"}, "z@b.fr", id="else the e-mail"),
        pytest.param({"name": "Zoé\r\nX: y", "email": "z@b.fr"}, "z@b.fr", id="CRLF is dropped"),
        pytest.param({"name": "Zoé\u202e", "email": "z@b.fr"}, "z@b.fr", id="override is dropped"),
        pytest.param({"name": "x" * 2000, "email": "z@b.fr"}, "z@b.fr", id="endless is dropped"),
        pytest.param({"name": {"first": "Zoé"}}, "", id="an object is dropped"),
    ],
)
def test_name(claims: dict[str, object], expected: str) -> None:
    assert _identity(claims).name == expected


def test_name_from_several_claims_leaves_out_what_is_missing() -> None:
    assert _identity({"last": "Lee"}, name=["first", "last"]).name == "Lee"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(["b", "a", "b"], ("b", "a"), id="list, each once, order kept"),
        pytest.param("b, a,,b ", ("b", "a"), id="text with commas"),
        pytest.param("solo", ("solo",), id="one text"),
        pytest.param(7, ("7",), id="one number"),
        pytest.param(
            ["a", 7, None, True, {"id": "x"}, ["y"]], ("a", "7"), id="odd members left out"
        ),
        pytest.param(["a", "b\r\nc", "d"], ("a", "d"), id="control characters left out"),
        pytest.param(["\u00a0admins\u2003"], ("\u00a0admins\u2003",), id="odd spaces stay"),
        pytest.param("a, admins\u2003", ("a", "admins\u2003"), id="odd spaces stay in a text"),
        pytest.param({"a": 1}, (), id="an object"),
        pytest.param(True, (), id="true"),
        pytest.param(None, (), id="null"),
        pytest.param("", (), id="empty text"),
        pytest.param([], (), id="empty list"),
        pytest.param(["cn=a,ou=b"], ("cn=a,ou=b",), id="a list is never split"),
    ],
)
def test_groups(value: object, expected: tuple[str, ...]) -> None:
    assert _identity({"groups": value}).groups == expected


def test_groups_of_all_claims_are_united() -> None:
    claims = {"groups": "a b", "realm_access": {"roles": ["b", "c"]}}
    paths = ["realm_access.roles", "groups", "absent"]
    assert _identity(claims, groups=paths, groups_separator=" ").groups == ("b", "c", "a")


def test_groups_are_limited() -> None:
    assert len(_identity({"groups": [str(n) for n in range(5000)]}).groups) == 1000


@pytest.mark.parametrize(
    ("claims", "field", "expected"),
    [
        pytest.param({"acr": ["a"]}, "acr", "", id="acr in a list"),
        pytest.param({"acr": "a\nb"}, "acr", "", id="acr with a newline"),
        pytest.param({"amr": "pwd otp"}, "amr", ("pwd", "otp"), id="amr as one text"),
        pytest.param({"amr": {"pwd": 1}}, "amr", (), id="amr an object"),
        pytest.param({"auth_time": "now"}, "auth_time", None, id="auth_time a text"),
        pytest.param({"auth_time": True}, "auth_time", None, id="auth_time true"),
        pytest.param({"auth_time": 10**400}, "auth_time", None, id="auth_time huge"),
        pytest.param({"email": "a@b@c"}, "email", "", id="e-mail that is none"),
        pytest.param({"preferred_username": "a\0"}, "preferred_username", "", id="NUL in username"),
    ],
)
def test_odd_claims_count_as_absent(
    claims: dict[str, object], field: str, expected: object
) -> None:
    assert getattr(_identity(claims), field) == expected


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param("x", True, id="text"),
        pytest.param(["x", 1], True, id="list"),
        pytest.param({"formatted": "a\nb"}, True, id="object"),
        pytest.param(False, True, id="false"),
        pytest.param("", True, id="empty text"),
        pytest.param(None, False, id="null"),
        pytest.param("a\r\nb", False, id="CRLF"),
        pytest.param(["a", "b\nc"], False, id="newline in a list"),
        pytest.param("x" * 20_000, False, id="too large"),
    ],
)
def test_extra_claims(value: object, kept: bool) -> None:
    assert ("x" in _identity({"x": value}, extra=["x"]).claims) is kept


def test_tokens_are_never_kept() -> None:
    assert not _identity({"access_token": "x"}, extra=["access_token"]).claims


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_names = st.sampled_from(
    ["email", "email_verified", "name", "groups", "acr", "amr", "auth_time", "x"]
)


@given(st.dictionaries(_names, _json))
def test_any_claims_make_an_identity_fit_for_headers(claims: dict[str, object]) -> None:
    found = _identity(claims, extra=["x"])
    texts = [found.user, found.email, found.name, found.acr, *found.groups, *found.amr]
    assert not any(ord(c) < 0x20 or ord(c) == 0x7F for text in texts for c in text)
    json.dumps([*texts, found.email_verified, found.auth_time, dict(found.claims)])
    "".join(texts).encode("utf-8")
