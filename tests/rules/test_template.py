"""A person's facts in a header: exactly they, or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.rules.template import Template
from tests.session.samples import person

WHO = replace(
    person(), subject="s-1", user="u-1", email="alice@example.org", claims={"key": "abc123", "n": 7}
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("Bearer {key}", b"Bearer abc123", id="a kept claim"),
        pytest.param("Token {user}:{email}", b"Token u-1:alice@example.org", id="facts"),
        pytest.param("Bearer {key}{n} x", b"Bearer abc1237 x", id="a number, and text behind"),
        pytest.param("Bearer {nothing}", None, id="missing"),
        pytest.param("Bearer {key}{nothing}", None, id="one of two is missing"),
        pytest.param("Bearer {groups}", None, id="a list"),
        pytest.param("Bearer {email_verified}", None, id="no text"),
    ],
)
def test_what_becomes_of_it(text: str, value: bytes | None) -> None:
    assert Template.compile(text).value(WHO) == value


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param("", id="empty"),
        pytest.param("a b", id="a space"),
        pytest.param('a", evil="1', id="a quote"),
        pytest.param("a,Basic", id="a comma"),
        pytest.param("a;b", id="a semicolon"),
        pytest.param("a\\b", id="a backslash"),
        pytest.param("a\r\nX-Forwarded-User: root", id="a line break"),
        pytest.param("a\x00", id="a null"),
        pytest.param("clé", id="not ASCII"),
        pytest.param("a\ud800", id="half a character"),
        pytest.param("a" * 4097, id="too long"),
        pytest.param(["abc"], id="a list of one"),
        pytest.param({"a": "b"}, id="an object"),
        pytest.param(True, id="true"),
        pytest.param(1.5, id="a fraction"),
        pytest.param(None, id="null"),
    ],
)
def test_a_value_that_does_not_fit_is_none(claim: object) -> None:
    template, who = Template.compile("Bearer {user}.{key}"), replace(WHO, claims={"key": claim})
    assert template.value(who) is None
    assert template.lacking(who) == ("key",)


def test_a_session_keeps_the_claims_and_no_facts() -> None:
    assert Template.compile("A {user} {key} {a.b} {email}").claims == {"key", "a.b"}


@given(st.text())
def test_whatever_it_holds_it_is_one_visible_word(claim: str) -> None:
    value = Template.compile("Bearer {key}").value(replace(WHO, claims={"key": claim}))
    if value is not None:
        assert value == b"Bearer " + claim.encode("ascii")
        assert not set(value[7:]) & set(b'\r\n\0 \t",;\\')
