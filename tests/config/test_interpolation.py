"""References to the environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.interpolation import interpolate

ENVIRON = {"NAME": "value", "EMPTY": "", "lower": "l"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain $5 {x}", "plain $5 {x}", id="nothing to do"),
        pytest.param("a${NAME}b${NAME}", "avaluebvalue", id="twice"),
        pytest.param("${lower}", "l", id="lower case"),
        pytest.param("${NAME:-x}", "value", id="the default is not needed"),
        pytest.param("${NONE:-x:-y}", "x:-y", id="the default"),
        pytest.param("${EMPTY:-x}", "x", id="empty counts as unset"),
        pytest.param("${NONE:-}", "", id="an empty default"),
        pytest.param("$${NAME}", "${NAME}", id="a literal"),
        pytest.param("$$ $NAME", "$$ $NAME", id="other dollars"),
    ],
)
def test_references(text: str, expected: str) -> None:
    assert interpolate(text, ENVIRON) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "${NONE} ${OTHER}", r"\$\{NONE\} is not set, \$\{OTHER\} is not set", id="two"
        ),
        pytest.param("${EMPTY}", "is not set", id="empty"),
        pytest.param("${NAME", "must begin", id="not closed"),
        pytest.param("${}", "must begin", id="no name"),
        pytest.param("${NAME-x}", "must begin", id="another shell form"),
    ],
)
def test_references_without_a_value(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interpolate(text, ENVIRON)


@given(st.text())
def test_what_a_variable_holds_is_never_read_again(value: str) -> None:
    assert interpolate("<${X:-}>", {"X": value}) == f"<{value}>"


@given(st.text())
def test_a_text_can_always_be_written_literally(text: str) -> None:
    assert interpolate(text.replace("${", "$${"), {}) == text
