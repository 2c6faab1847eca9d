"""The options for programs."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.config.programs import Issuer, Limit, Tokens


def test_an_issuer_needs_an_audience() -> None:
    given: dict[str, Any] = {"name": "ci", "issuer_url": "https://ci.example"}
    without: list[dict[str, Any]] = [{}, {"audiences": []}]
    for audiences in without:
        with pytest.raises(ValidationError):
            Issuer.model_validate(given | audiences)
    assert Issuer.model_validate(given | {"audiences": ["api"]}).audiences == ("api",)


@pytest.mark.parametrize("given", [{}, {"per": "person"}, {"requests": 0, "concurrent": 0}])
def test_a_limit_limits_something(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="requests or concurrent"):
        Limit.model_validate(given)


@pytest.mark.parametrize("prefix", ["", "a", "Ab", "a_b", "0ab", "abcdefghijkl"])
def test_a_prefix_is_one_word(prefix: str) -> None:
    with pytest.raises(ValidationError):
        Tokens.model_validate({"prefix": prefix})
