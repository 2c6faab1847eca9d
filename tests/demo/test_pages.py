"""The headers and the escaping that every page of the demo shares."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from proxy.demo.pages import page, render


def test_values_are_escaped() -> None:
    text = render("refused.html", base="", code="<i>", message='"><script>x</script>')
    assert "<script" not in text
    assert "<i>" not in text


def test_a_forgotten_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("refused.html", base="")


def test_pages_are_neither_cached_nor_framed() -> None:
    response = page("signed_out.html", base="")
    assert response.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
