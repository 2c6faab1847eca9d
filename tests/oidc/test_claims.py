"""Single claims, read into what is safe to pass on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.person import Claims
from proxy.model import UNREADABLE_CLAIM
from proxy.oidc.claims import (
    as_exact_text,
    as_id,
    as_list,
    as_text,
    as_url,
    as_whole,
    is_verified,
    kept,
    lookup,
)

NESTED = {
    "realm_access": {"roles": ["a"], "none": None},
    "a.b": "exact",
    "a": {"b": "nested", "b.c": {"d": 1}},
    "kubernetes.io": {"ns": "x"},
    "https://example.org/groups": ["g"],
    "custom": {"": "empty"},
    "metadata": {"x": 1},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("realm_access.roles", ["a"], id="a way into an object"),
        pytest.param("a.b", "exact", id="the exact name first"),
        pytest.param(r"a.b\.c.d", 1, id="an escaped dot"),
        pytest.param(r"kubernetes\.io.ns", "x", id="an escaped dot at the start"),
        pytest.param("https://example.org/groups", ["g"], id="a name that is a URL"),
        pytest.param("metadata.x", 1, id="metadata is a name like others"),
        pytest.param("missing", None, id="missing"),
        pytest.param("realm_access.missing", None, id="missing deeper"),
        pytest.param("realm_access.roles.0", None, id="no list indexes"),
        pytest.param("realm_access.none.x", None, id="through null"),
        pytest.param("a.b.c", None, id="a nested name is not looked up whole"),
        pytest.param("", None, id="empty"),
        pytest.param("custom.", "empty", id="an empty name"),
    ],
)
def test_r061_lookup(path: str, expected: object) -> None:
    assert lookup(NESTED, path) == expected


@given(st.text(max_size=20))
def test_lookup_of_any_path_is_a_value_or_none(path: str) -> None:
    lookup(NESTED, path)


@pytest.mark.parametrize(
    ("value", "text", "exact", "id_"),
    [
        pytest.param("Zoé", "Zoé", "Zoé", "Zoé", id="text"),
        pytest.param(" a ", "a", " a ", "", id="spaces around it"),
        pytest.param("a\u2003", "a", "a\u2003", "", id="an odd space"),
        pytest.param("", "", "", "", id="empty"),
        pytest.param(7, "7", "7", "7", id="number"),
        pytest.param(True, "", "", "", id="true"),
        pytest.param(None, "", "", "", id="null"),
        pytest.param(["a"], "", "", "", id="list"),
        pytest.param({"a": 1}, "", "", "", id="object"),
        pytest.param("a\r\nX: y", "", "", "", id="CRLF"),
        pytest.param("a\x00", "", "", "", id="NUL"),
        pytest.param("a\x85b", "", "", "", id="NEL"),
        pytest.param("a\u202eb", "", "", "", id="an override of direction"),
        pytest.param("a\ud800", "", "", "", id="a lone surrogate"),
        pytest.param("x" * 255, "x" * 255, "x" * 255, "x" * 255, id="255 characters"),
        pytest.param("x" * 256, "x" * 256, "x" * 256, "", id="256 characters"),
        pytest.param("x" * 1025, "", "", "", id="1025 characters"),
    ],
)
def test_texts(value: object, text: str, exact: str, id_: str) -> None:
    assert (as_text(value), as_exact_text(value), as_id(value)) == (text, exact, id_)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(["b", "a", "b"], ("b", "a", "b"), id="list"),
        pytest.param("b, a,,b ", ("b", "a", "b"), id="text with commas"),
        pytest.param("solo", ("solo",), id="one text"),
        pytest.param(7, ("7",), id="one number"),
        pytest.param(["\u00a0admins\u2003"], ("\u00a0admins\u2003",), id="odd spaces stay"),
        pytest.param("a, admins\u2003", ("a", "admins\u2003"), id="odd spaces stay in a text"),
        pytest.param(["cn=a,ou=b"], ("cn=a,ou=b",), id="a list is never split"),
        pytest.param(["a", ""], ("a",), id="an empty text"),
        pytest.param(None, (), id="null"),
        pytest.param("", (), id="empty text"),
        pytest.param([], (), id="empty list"),
    ],
)
def test_r071_lists(value: object, expected: tuple[str, ...]) -> None:
    assert as_list(value, ",") == (expected, "")


@pytest.mark.parametrize(
    ("value", "expected", "problem"),
    [
        pytest.param({"a": 1}, (), "dict left out", id="an object"),
        pytest.param(True, (), "bool left out", id="true"),
        pytest.param(
            ["a", 7, None, True, {"id": "x"}, ["y"]],
            ("a", "7"),
            "4 of 6 values left out",
            id="odd members",
        ),
        pytest.param(["a", "b\r\nc"], ("a",), "1 of 2 values left out", id="control characters"),
        pytest.param("a\nb", (), "str left out", id="control characters in a text"),
        pytest.param(["x" * 1025], (), "1 of 1 values left out", id="endless"),
    ],
)
def test_r058_what_is_left_out_is_said(
    value: object, expected: tuple[str, ...], problem: str
) -> None:
    assert as_list(value, ",") == (expected, problem)


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        pytest.param([{"name": "a"}, {"name": "b", "id": 1}], "name", ("a", "b"), id="objects"),
        pytest.param([{"id": 7}], "id", ("7",), id="a number"),
        pytest.param([{"name": "a"}, "b"], "name", ("a", "b"), id="objects and texts"),
        pytest.param([{"id": 7}, {"name": "a"}], "name", ("a",), id="one without the member"),
        pytest.param([{"name": ["a"]}], "name", (), id="a member that is a list"),
        pytest.param([{"name": "a"}], "", (), id="no member is named"),
        pytest.param({"name": "a"}, "name", (), id="one object is no list"),
    ],
)
def test_r071_objects(value: object, key: str, expected: tuple[str, ...]) -> None:
    assert as_list(value, ",", key)[0] == expected


def test_a_text_is_split_as_configured() -> None:
    assert as_list("a b,c", " ")[0] == ("a", "b,c")
    assert as_list("a b,c")[0] == ("a b,c",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(7, 7, id="whole"),
        pytest.param(7.9, 7, id="fraction"),
        pytest.param(0, 0, id="0"),
        pytest.param(-1, None, id="negative"),
        pytest.param(True, None, id="true"),
        pytest.param("7", None, id="text"),
        pytest.param(10**400, None, id="huge"),
    ],
)
def test_whole_numbers(value: object, expected: int | None) -> None:
    assert as_whole(value) == expected


@pytest.mark.parametrize(
    ("value", "good"),
    [
        pytest.param("https://example.org/a.png?s=1&t=2", True, id="https"),
        pytest.param("HTTP://example.org/%20", True, id="http, in capitals"),
        pytest.param("https://[::1]/", True, id="an address"),
        pytest.param("javascript:alert(1)", False, id="a script"),
        pytest.param("data:image/png;base64,AA", False, id="data"),
        pytest.param("//example.org/a.png", False, id="no scheme"),
        pytest.param("https://", False, id="no host"),
        pytest.param('https://a.org/"onerror=', False, id="a quote"),
        pytest.param("https://a.org/'x", False, id="a single quote"),
        pytest.param("https://a.org/<x>", False, id="a tag"),
        pytest.param("https://a.org/ x", False, id="a space"),
        pytest.param("https://a.org\\x", False, id="a backslash"),
        pytest.param("https://a.org/é", False, id="not ASCII"),
        pytest.param("https://a.org/" + "x" * 1024, False, id="endless"),
        pytest.param(["https://a.org"], False, id="a list"),
    ],
)
def test_urls(value: object, good: bool) -> None:
    assert as_url(value) == (value if good else "")


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
def test_b16_email_verified(value: object, expected: bool | None) -> None:
    claims = {"email": "a@b.fr", "email_verified": value}
    assert is_verified(claims, Claims(), "a@b.fr") is expected
    assert is_verified({"email": "a@b.fr"}, Claims(), "a@b.fr") is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param({"email_verified": True}, None, id="says nothing of upn"),
        pytest.param({"email": "me@b.fr", "email_verified": True}, None, id="of another"),
        pytest.param({"email": "Boss@b.fr", "email_verified": True}, True, id="the same address"),
        pytest.param({"email_verified": False}, False, id="a no stays a no"),
    ],
)
def test_b16_email_verified_is_about_the_claim_email(
    claims: dict[str, object], expected: bool | None
) -> None:
    assert is_verified(claims, Claims(email="upn"), "boss@b.fr") is expected


@pytest.mark.parametrize(
    ("value", "is_kept"),
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
def test_r064_further_claims(value: object, is_kept: bool) -> None:
    found = kept({"x": value}, ["x"])
    expected = {} if value is None else {"x": value if is_kept else dict(UNREADABLE_CLAIM)}
    assert found == expected


def test_r055_tokens_are_never_kept() -> None:
    tokens = {"access_token": "x", "id_token": "y", "refresh_token": "z"}
    assert not kept(tokens, tokens)
