"""Validation errors in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.words import explain


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param({"type": "missing"}, "is needed", id="missing"),
        pytest.param(
            {"type": "value_error", "ctx": {"error": ValueError("too odd")}}, "too odd", id="ours"
        ),
        pytest.param(
            {"type": "int_parsing", "input": "x"}, "'x' is not a whole number", id="shows the value"
        ),
        pytest.param({"type": "new_kind", "msg": "Something"}, "Something", id="unknown kinds"),
    ],
)
def test_words(error: dict[str, Any], expected: str) -> None:
    assert explain(error, secret=False) == expected


def test_a_secret_value_is_not_shown() -> None:
    assert "tiger" not in explain({"type": "int_parsing", "input": "tiger"}, secret=True)
