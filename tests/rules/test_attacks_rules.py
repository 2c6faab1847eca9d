"""What is odd, cut or unreadable is no way around a rule that says who stays out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.config.access import Rule
from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_object
from proxy.model import UNREADABLE_CLAIM, Identity
from proxy.oidc.person import person
from proxy.oidc.roles import RoleTable
from proxy.oidc.told import Told
from proxy.rules.access import Rules
from proxy.rules.judged import Asked
from tests.session.samples import NOW

ISSUER = "https://id.example.org"
KEPT = ("status", "work.status")
NOT_THERE = {"claims": [{"claim": "status", "present": False}]}
THERE = {"claims": [{"claim": "status", "present": True}]}
MANY = [f"r{number}" for number in range(1000)]


def signed_in(claims: dict[str, Any]) -> Identity:
    """As the claims arrive: through JSON."""
    provider = Provider(issuer_url=ISSUER, client_id="proxy")
    read = read_object(json.dumps({"sub": "mallory", **claims}).encode(), 1 << 20)
    return person(Told(ISSUER, read), provider, RoleTable(), KEPT).identity


def allowed(rule: dict[str, Any], claims: dict[str, Any]) -> bool:
    rules = Rules.of(Rule.model_validate(rule), "rule")
    return rules.denied(signed_in(claims), Asked(NOW)) is None


@pytest.mark.parametrize("rule", [NOT_THERE, THERE, {"not": NOT_THERE}, {"not": THERE}])
@pytest.mark.parametrize(
    "status",
    [
        pytest.param("suspended\n", id="a line break"),
        pytest.param("suspended\u202e", id="a bidirectional override"),
        pytest.param(["suspended", "x\u0000"], id="one of a list"),
        pytest.param("s" * 17_000, id="too large to keep"),
    ],
)
def test_a_claim_that_cannot_be_kept_is_neither_there_nor_missing(
    status: object, rule: dict[str, Any]
) -> None:
    assert not allowed(rule, {"status": status})
    assert signed_in({"status": status}).claims["status"] == UNREADABLE_CLAIM


@pytest.mark.parametrize("work", [[{"status": "suspended"}], "suspended", 7])
def test_a_path_that_ends_at_something_else_is_not_a_missing_claim(work: object) -> None:
    missing = {"claims": [{"claim": "work.status", "present": False}]}
    assert not allowed(missing, {"work": work})
    assert allowed(missing, {"work": {"place": "here"}})
    assert allowed(missing, {"work": None})


@pytest.mark.parametrize(
    ("rule", "claims"),
    [
        pytest.param({"roles": ["banned"]}, {"role": ["member", {"name": "banned"}]}, id="role"),
        pytest.param({"roles": ["banned"]}, {"role": ["member", "banned\n"]}, id="role's name"),
        pytest.param({"roles": ["banned"]}, {"role": [*MANY, "banned"]}, id="roles too many"),
        pytest.param({"groups": {"any": ["banned"]}}, {"groups": ["a", {"n": "b"}]}, id="group"),
        pytest.param({"groups": {"any": ["banned"]}}, {"groups": [*MANY, "banned"]}, id="groups"),
        pytest.param({"amr": ["sms"]}, {"amr": ["pwd", {"method": "sms"}]}, id="method"),
        pytest.param({"acr_values": ["low"]}, {"acr": ["low"]}, id="class"),
        pytest.param({"max_age": "10m"}, {"auth_time": True}, id="time"),
        pytest.param({"email_domains": ["b.example"]}, {"email": ["a@b.example"]}, id="address"),
    ],
)
def test_what_was_left_out_may_be_what_a_rule_forbids(
    rule: dict[str, Any], claims: dict[str, Any]
) -> None:
    assert not allowed({"not": rule}, claims)


@pytest.mark.parametrize("number", [2, 2.0])
def test_a_number_is_the_same_however_it_is_written(number: float) -> None:
    banned = {"claims": [{"claim": "status", "equals": "2"}]}
    assert allowed(banned, {"status": number})
    assert not allowed({"not": banned}, {"status": number})
    assert not allowed(banned, {"status": 2.5})


class _Cut:
    """A list of which one line could not be read."""

    def addresses(self, path: str) -> frozenset[str]:
        return frozenset({"known@b.example"})

    def are_all(self, path: str) -> bool:
        return False


def test_a_list_with_an_unreadable_line_lets_nobody_past_that_it_may_name() -> None:
    rule = {"emails_file": "/banned"}
    for email, expected in (("known@b.example", True), ("mallory@b.example", False)):
        who = signed_in({"email": email, "email_verified": True})
        for given, is_in in ((rule, expected), ({"not": rule}, False)):
            rules = Rules.of(Rule.model_validate(given), "rule", _Cut())
            assert (rules.denied(who, Asked(NOW)) is None) is is_in, (email, given)
