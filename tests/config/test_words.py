"""Validation errors in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.words import explain
from tests.config.configurations import MINIMAL, problems_of


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


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"session.lifetime": "0"}, "must be 1s or more", id="a duration"),
        pytest.param({"server.header_timeout": "0s"}, "must be more than 0", id="more than 0"),
        pytest.param({"server.max_header_size": "5"}, "must be 1KiB or more", id="a size"),
        pytest.param({"server.max_headers": "1001"}, "must be 1000 or less", id="a number"),
    ],
)
def test_a_bound_is_written_as_the_option_is(flags: dict[str, str], expected: str) -> None:
    [problem] = problems_of(MINIMAL, flags=flags)
    assert problem.endswith(f": {expected}")
