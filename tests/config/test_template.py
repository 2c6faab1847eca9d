"""What a template of Authorization may look like."""

from __future__ import annotations

import pytest

from proxy.config.template import parts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("Bearer {key}", (("Bearer ", "key"),), id="one claim"),
        pytest.param("{key}", (("", "key"),), id="nothing else"),
        pytest.param("{a}{b}", (("", "a"), ("", "b")), id="two together"),
        pytest.param("U {a}:{b} end", (("U ", "a"), (":", "b"), (" end", "")), id="text behind"),
        pytest.param(
            "Bearer {https://example.org/key}",
            (("Bearer ", "https://example.org/key"),),
            id="a URL as a name",
        ),
        pytest.param("Bearer {a.b}", (("Bearer ", "a.b"),), id="a path"),
    ],
)
def test_texts_and_claims(text: str, found: tuple[tuple[str, str], ...]) -> None:
    assert parts(text) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "needs a claim", id="empty"),
        pytest.param("Bearer secret", "needs a claim", id="the same for everybody"),
        pytest.param("Bearer {}", "needs the name of a claim", id="no name"),
        pytest.param("Bearer { key}", "needs the name of a claim", id="a space in front"),
        pytest.param("Bearer {key", "a brace without", id="not closed"),
        pytest.param("Bearer key}", "a brace without", id="not opened"),
        pytest.param("Bearer {{key}}", "a brace without", id="doubled"),
        pytest.param("Bearer {a{b}}", "a brace without", id="nested"),
        pytest.param("Bearer {key} ", "begin nor end with a space", id="a space behind"),
        pytest.param("Bearer\t{key}", "visible ASCII", id="a tab"),
        pytest.param("Bearer {key}\r\nX: y", "visible ASCII", id="a line break"),
        pytest.param("Bearer {clé}", "visible ASCII", id="not ASCII"),
    ],
)
def test_what_is_no_template(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parts(text)
