"""From the settings to a tree: words, lists that are long, and what is left to each request."""

from __future__ import annotations

import re
from typing import Any

import pytest

from proxy.config.access import AccessRules, Rule
from proxy.rules.access import Rules
from proxy.rules.compiler import with_head
from proxy.rules.judged import Asked
from tests.session.samples import NOW, person


def before(**rule: Any) -> Rules:
    """As at a sign-in, when there is no request yet."""
    return Rules.compile(AccessRules.model_validate(rule), of_requests=False)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"email_domains": ["a.fr", ".b.fr"], "emails": ["x@c.fr"], "emails_file": "/l"},
         "email: a.fr, .b.fr, x@c.fr or /l"),
        ({"groups": {"any": ["a", "b"]}}, "groups: a or b"),
        ({"groups": {"all": ["a", "b", "c"]}}, "groups: a, b and c"),
        ({"roles": list("abcdefghij")}, "roles: a, b, c, d, e, f, g, h or 2 more"),
        ({"claims": [{"claim": "c", "in": ["a", "b"], "present": True}]}, "c is in a, b, is there"),
        ({"max_age": 300}, "max_age: signed in 5m ago at most"),
        ({"networks": ["10.0.0.0/8"]}, "networks: 10.0.0.0/8"),
    ],
)  # fmt: skip
def test_words(rule: dict[str, Any], words: str) -> None:
    lines = Rules.of(Rule.model_validate(rule), "rule").explained(person(), Asked(NOW))
    assert lines[-1].words == words


@pytest.mark.parametrize(
    "rule",
    [
        {"methods": ["POST"]},
        {"networks": ["10.0.0.0/8"]},
        {"max_age": "1m"},
        {"not": {"methods": ["POST"]}},
        {"not": [{"not": [{"networks": ["10.0.0.0/8"]}]}]},
        {"any": [{"roles": ["admin"]}, {"methods": ["GET"]}]},
    ],
)
def test_what_only_a_request_can_tell_is_left_to_it(rule: dict[str, Any]) -> None:
    assert before(**rule).denied(person(), Asked(NOW)) is None
    assert before(**rule).steady
    whole = Rules.compile(AccessRules.model_validate(rule))
    assert whole.denied(person(), Asked(NOW)) is not None
    assert not whole.steady


@pytest.mark.parametrize(
    "rule",
    [
        {"groups": {"any": ["admins"]}, "methods": ["GET"]},
        {"not": {"groups": {"any": ["staff"]}}},
        {"acr_values": ["mfa"]},
        {"emails_file": "/nobody"},
        {"any": [{"roles": ["admin"]}, {"roles": ["editor"], "methods": ["GET"]}]},
    ],
)
def test_what_is_about_the_person_is_judged_at_once(rule: dict[str, Any]) -> None:
    assert before(**rule).denied(person(), Asked(NOW, "GET")) is not None


def test_a_pattern_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(re.error):
        before(claims=[{"claim": "c", "matches": "("}])


def test_head_goes_where_get_goes() -> None:
    assert with_head(["get", "POST"]) == {"GET", "HEAD", "POST"}
    assert with_head(["HEAD"]) == {"HEAD"}
    assert with_head([]) == frozenset()
