"""Conditions as they are declared."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.access import AccessRules, ClaimRule, Groups, Rule


def test_rules_hold_rules_and_one_needs_no_list_under_not() -> None:
    inner = {"groups": {"any": ["staff"]}, "not": {"emails": "a@b.example"}}
    rule = Rule.model_validate({"any": [inner], "not": [inner, inner]})
    assert rule.any[0] == Rule(groups=Groups(any=("staff",)), not_=(Rule(emails=("a@b.example",)),))
    assert len(rule.not_) == 2


def test_the_words_of_pythons_are_read_as_they_are_written() -> None:
    assert ClaimRule.model_validate({"claim": "a", "in": ["b"]}) == ClaimRule(claim="a", in_=("b",))


@pytest.mark.parametrize("kind", ["any", "all"])
def test_only_not_takes_one_without_a_list(kind: str) -> None:
    with pytest.raises(ValidationError, match="valid tuple"):
        Rule.model_validate({kind: {"emails": ["a@b.example"]}})


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"any_of": ["b"]}, id="any_of"),
        pytest.param({"in": ["b"]}, id="in"),
        pytest.param({"all_of": ["b"]}, id="all_of"),
        pytest.param({"equals": ""}, id="equals, even nothing"),
        pytest.param({"matches": ".*"}, id="matches"),
        pytest.param({"present": False}, id="present"),
    ],
)
def test_a_claim_rule_says_something(said: dict[str, object]) -> None:
    assert ClaimRule.model_validate({"claim": "a", **said}).claim == "a"


def test_a_claim_rule_that_says_nothing_is_none() -> None:
    with pytest.raises(ValidationError, match="needs any_of, in, all_of, equals"):
        ClaimRule.model_validate({"claim": "a", "any_of": []})


def test_the_rules_for_everything_are_a_rule_with_more() -> None:
    rules = AccessRules.model_validate({"not": {"emails": ["a@b.example"]}, "help_url": None})
    assert (rules.email_verified, rules.not_[0].emails) == ("if_present", ("a@b.example",))
    assert AccessRules.model_fields.keys() - Rule.model_fields.keys() == {
        *("email_verified", "help_url", "support_email")
    }
