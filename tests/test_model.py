"""The nouns: frozen, and silent about secrets."""

from __future__ import annotations

import dataclasses

import pytest

from proxy.model import Kind, SetCookie, Target, Tokens
from tests.session.samples import person, session

TARGET = Target(
    method="GET",
    scheme="https",
    host="app.example.org",
    path="/a b",
    raw_path="/a%20b",
    query="",
    kind=Kind.NAVIGATION,
    client="192.0.2.1",
)


@pytest.mark.parametrize(
    ("query", "raw"),
    [
        pytest.param("", "/a%20b", id="no query"),
        pytest.param("x=%2F", "/a%20b?x=%2F", id="query as written"),
    ],
)
def test_a_target_tells_what_the_client_wrote(query: str, raw: str) -> None:
    assert dataclasses.replace(TARGET, query=query).raw == raw


def test_a_target_is_secure_over_https_alone() -> None:
    assert TARGET.secure
    assert not dataclasses.replace(TARGET, scheme="http").secure


@pytest.mark.parametrize(
    "value", [TARGET, person(), session(), Tokens("t"), SetCookie("a", "b", 1, True)]
)
def test_nouns_are_frozen(value: object) -> None:
    assert dataclasses.is_dataclass(value)
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "other")


def test_the_claims_of_an_identity_are_none_at_first_and_cannot_be_added_to() -> None:
    with pytest.raises(TypeError):
        person().claims["admin"] = True  # type: ignore[index]


def test_no_secret_is_shown_by_repr() -> None:
    tokens = Tokens("SECRET-1", "SECRET-2", "SECRET-3")
    shown = repr(session(id="SECRET-4", tokens=tokens)) + repr(SetCookie("a", "SECRET-5", 1, True))
    assert "SECRET" not in shown


def test_a_cookie_is_lax_http_only_and_for_the_whole_host_by_default() -> None:
    cookie = SetCookie("a", "b", None, True)
    assert (cookie.path, cookie.domain, cookie.same_site, cookie.http_only) == (
        "/",
        "",
        "Lax",
        True,
    )
