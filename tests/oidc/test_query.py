"""Adding parameters leaves the provider's own alone."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oidc.query import add_query


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        pytest.param("https://i/a", {"x": "1"}, "https://i/a?x=1", id="no query"),
        pytest.param("https://i/a?", {"x": "1"}, "https://i/a?x=1", id="empty query"),
        pytest.param("https://i", {"x": "1"}, "https://i?x=1", id="no path"),
        pytest.param(
            "https://i/a?p=%7E&q=", {"x": "1"}, "https://i/a?p=%7E&q=&x=1", id="blank kept"
        ),
        pytest.param("https://i/a?p&p=2", {"x": "1"}, "https://i/a?p&p=2&x=1", id="as written"),
        pytest.param("https://i/a?x=9&%78=8", {"x": "1"}, "https://i/a?x=1", id="never twice"),
        pytest.param(
            "https://i/a", {"x": "a b&c=é/"}, "https://i/a?x=a%20b%26c%3D%C3%A9%2F", id="encoded"
        ),
        pytest.param("https://i/a#f", {"x": "1"}, "https://i/a?x=1", id="no fragment"),
    ],
)
def test_add_query(url: str, params: dict[str, str], expected: str) -> None:
    assert add_query(url, params) == expected


_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(_words, _words))
def test_every_parameter_arrives(params: dict[str, str]) -> None:
    query = urlsplit(add_query("https://i/a?own=", params | {"x": "1"})).query
    arrived = dict(parse_qsl(query, keep_blank_values=True))
    assert arrived == {"own": ""} | params | {"x": "1"}
