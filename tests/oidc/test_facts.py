"""The protocol's own claims. Which of them are refused is in test_strict.py, row by row."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oidc.facts import (
    ClaimRefused,
    check_audience,
    check_number,
    check_subject,
    check_times,
    shown,
)

NOW = 1000.0


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        pytest.param({}, True, id="nothing is required"),
        pytest.param({"exp": NOW - 9.5}, True, id="over, within the skew"),
        pytest.param({"exp": NOW - 10}, False, id="over"),
        pytest.param({"iat": NOW + 10}, True, id="ahead, within the skew"),
        pytest.param({"nbf": NOW + 10.5}, False, id="ahead"),
        pytest.param({"exp": math.nan}, False, id="not a number"),
    ],
)
def test_times(claims: dict[str, object], good: bool) -> None:
    if good:
        check_times(claims, NOW, 10)
        return
    with pytest.raises(ClaimRefused):
        check_times(claims, NOW, 10)


def test_what_is_required_must_be_there() -> None:
    check_times({"exp": NOW + 1}, NOW, 0, required=("exp",))
    with pytest.raises(ClaimRefused, match="iat is missing"):
        check_times({"exp": NOW + 1}, NOW, 0, required=("exp", "iat"))


def test_a_number_keeps_its_fraction() -> None:
    assert check_number(1.5, "exp") == 1.5
    assert check_number(0, "auth_time", least=0) == 0


def test_the_subject_comes_back() -> None:
    assert check_subject({"sub": "auth0|a b"}) == "auth0|a b"


def test_nobody_s_audience() -> None:
    with pytest.raises(ClaimRefused):
        check_audience({"aud": ""}, "")


@given(st.text())
def test_what_is_shown_is_short_and_printable(text: str) -> None:
    assert shown(text * 50).isprintable()
    assert len(shown(text * 50)) <= 200
