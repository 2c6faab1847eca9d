"""Conditions on claims: what is there, what is not, and what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.access import ClaimRule
from proxy.rules.claim import ClaimHolds
from proxy.rules.judged import Asked
from tests.session.samples import person

YES, NO, UNKNOWN = True, False, None
ABSENT: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("rule", "claims", "expected"),
    [
        pytest.param({"any_of": ["a"]}, {"c": ["b", "a"]}, YES, id="any_of, in a list"),
        pytest.param({"any_of": ["a"]}, {"c": ["b"]}, NO, id="any_of, others"),
        pytest.param({"any_of": ["a"]}, {"c": []}, NO, id="any_of, an empty list is known"),
        pytest.param({"any_of": ["a"]}, ABSENT, UNKNOWN, id="any_of, absent"),
        pytest.param({"any_of": ["a"]}, {"c": {"a": 1}}, UNKNOWN, id="any_of, an object"),
        pytest.param({"any_of": ["a"]}, {"c": ["b", ["a"]]}, UNKNOWN, id="any_of, a list within"),
        pytest.param({"any_of": ["a"]}, {"c": ["a", ["b"]]}, YES, id="any_of, found beside it"),
        pytest.param({"all_of": ["a", "b"]}, {"c": ["b", "a", "c"]}, YES, id="all_of"),
        pytest.param({"all_of": ["a", "b"]}, {"c": "a"}, NO, id="all_of, one text"),
        pytest.param({"all_of": ["a"]}, ABSENT, UNKNOWN, id="all_of, absent"),
        pytest.param({"in": ["a", "b"]}, {"c": "b"}, YES, id="in"),
        pytest.param({"in": ["a"]}, {"c": "b"}, NO, id="in, another"),
        pytest.param({"in": ["a"]}, {"c": ["a"]}, UNKNOWN, id="in, a list is no text"),
        pytest.param({"in": ["7"]}, {"c": 7}, YES, id="in, a number"),
        pytest.param({"equals": "true"}, {"c": True}, YES, id="equals, true"),
        pytest.param({"equals": "a"}, {"c": "A"}, NO, id="equals, case"),
        pytest.param({"equals": "a"}, {"c": ["a"]}, UNKNOWN, id="equals, a list"),
        pytest.param({"equals": ""}, ABSENT, UNKNOWN, id="equals nothing, absent"),
        pytest.param({"matches": "a|b+"}, {"c": "bb"}, YES, id="matches"),
        pytest.param({"matches": "a"}, {"c": "ab"}, NO, id="matches, whole"),
        pytest.param({"matches": "a|b"}, {"c": "ax"}, NO, id="matches, whole of each alternative"),
        pytest.param({"matches": "a$"}, {"c": "a\n"}, NO, id="matches, to the very end"),
        pytest.param({"matches": "a."}, {"c": ["x", "ay"]}, YES, id="matches, one of a list"),
        pytest.param({"matches": ".*"}, {"c": "a" * 1024}, YES, id="matches, the longest"),
        pytest.param({"matches": ".*"}, {"c": "a" * 1025}, UNKNOWN, id="matches, too long"),
        pytest.param({"matches": "b"}, {"c": ["a" * 1025, "b"]}, YES, id="matches, beside that"),
        pytest.param({"matches": ".*"}, ABSENT, UNKNOWN, id="matches, absent"),
        pytest.param({"present": True}, {"c": []}, YES, id="present"),
        pytest.param({"present": True}, ABSENT, NO, id="present, absent"),
        pytest.param({"present": True}, {"c": None}, NO, id="present, null"),
        pytest.param({"present": False}, ABSENT, YES, id="not present"),
        pytest.param({"present": False}, {"c": False}, NO, id="not present, false is there"),
        pytest.param({"any_of": ["a"], "matches": "b"}, {"c": "a"}, NO, id="parts add up"),
        pytest.param({"present": True, "equals": "a"}, ABSENT, NO, id="no outweighs unknown"),
    ],
)
def test_what_a_claim_comes_to(
    rule: dict[str, Any], claims: dict[str, Any], expected: bool | None
) -> None:
    condition = ClaimHolds.compile(ClaimRule.model_validate({"claim": "c"} | rule))
    assert condition.holds(person(claims=claims), Asked(0)) is expected
    assert condition.steady
    assert condition.words.startswith("c ")
