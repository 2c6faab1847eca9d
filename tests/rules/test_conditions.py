"""Each kind of condition by itself: yes, no, or nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.access import Rule
from proxy.errors import Reason
from proxy.rules.access import Rules
from proxy.rules.judged import Asked
from tests.session.samples import NOW, person

CUT: dict[str, object] = {"groups": ("g1", "g9"), "groups_partial": True}
YES, NO, UNKNOWN = True, False, None


class Listed:
    def addresses(self, path: str) -> frozenset[str]:
        return frozenset({"listed@b.example"}) if path == "/lists/people" else frozenset()

    def are_all(self, path: str) -> bool:
        return True


def rules(**rule: Any) -> Rules:
    return Rules.of(Rule.model_validate(rule), "rule", Listed())


def value(rule: dict[str, Any], facts: dict[str, Any], asked: Asked) -> bool | None:
    """What the rule's one condition comes to."""
    return rules(**rule).explained(person(**facts), asked)[-1].holds


FILE = {"emails_file": "/lists/people", "email_domains": ["own.example"]}
CASES = [
    ("email, of the domain", {"email_domains": ["b.example"]}, {"email": "a@b.example"}, YES),
    ("email, of another", {"email_domains": ["b.example"]}, {"email": "a@c.example"}, NO),
    ("email, none", {"email_domains": ["b.example"]}, {"email": ""}, UNKNOWN),
    ("email, two @", {"email_domains": ["b.example"]}, {"email": "a@c@b.example"}, UNKNOWN),
    ("email, in the file", FILE, {"email": "listed@b.example"}, YES),
    ("email, of a domain beside the file", FILE, {"email": "a@own.example"}, YES),
    ("email, not in the file", FILE, {"email": "a@b.example"}, NO),
    ("email, none for the file", FILE, {"email": ""}, UNKNOWN),
    ("groups, one of them", {"groups": {"any": ["a", "b"]}}, {"groups": ("b",)}, YES),
    ("groups, none of them", {"groups": {"any": ["a"]}}, {"groups": ("b",)}, NO),
    ("groups, none at all", {"groups": {"any": ["a"]}}, {"groups": ()}, UNKNOWN),
    ("groups, not in a cut list", {"groups": {"any": ["a"]}}, CUT, UNKNOWN),
    ("groups, not in a whole one", {"groups": {"any": ["a"]}}, {"groups": ("g1", "g9")}, NO),
    ("groups, in a cut list", {"groups": {"any": ["g9"]}}, CUT, YES),
    ("groups, all", {"groups": {"all": ["a", "b"]}}, {"groups": ("b", "a")}, YES),
    ("groups, one missing", {"groups": {"all": ["a", "b"]}}, {"groups": ("b",)}, NO),
    ("groups, all of none", {"groups": {"all": ["a"]}}, {"groups": ()}, UNKNOWN),
    ("groups, all of a cut list", {"groups": {"all": ["a", "g1"]}}, CUT, UNKNOWN),
    ("roles, one of them", {"roles": ["a", "b"]}, {"roles": ("c", "b")}, YES),
    ("roles, others", {"roles": ["a"]}, {"roles": ("b",)}, NO),
    ("roles, others, of cut groups", {"roles": ["a"]}, {"roles": ("b",), **CUT}, UNKNOWN),
    ("roles, one of them, of cut groups", {"roles": ["b"]}, {"roles": ("b",), **CUT}, YES),
    ("roles, none", {"roles": ["a"]}, {"roles": ()}, UNKNOWN),
    ("provider, this one", {"providers": ["a", "b"]}, {"provider": "b"}, YES),
    ("provider, another", {"providers": ["a"]}, {"provider": "b"}, NO),
    ("provider, of an old session", {"providers": ["a"]}, {"provider": ""}, UNKNOWN),
    ("amr, each", {"amr": ["pwd", "otp"]}, {"amr": ("otp", "mfa", "pwd")}, YES),
    ("amr, one missing", {"amr": ["pwd", "otp"]}, {"amr": ("pwd",)}, NO),
    ("amr, not told", {"amr": ["pwd"]}, {"amr": ()}, UNKNOWN),
    ("acr, one of them", {"acr_values": ["a", "b"]}, {"acr": "b"}, YES),
    ("acr, another", {"acr_values": ["a"]}, {"acr": "b"}, NO),
    ("acr, not told", {"acr_values": ["a"]}, {"acr": ""}, UNKNOWN),
    ("max_age, within", {"max_age": "5m"}, {"auth_time": int(NOW) - 300}, YES),
    ("max_age, older", {"max_age": "5m"}, {"auth_time": int(NOW) - 301}, NO),
    ("max_age, not told", {"max_age": "5m"}, {"auth_time": None}, UNKNOWN),
    ("max_age, a clock ahead", {"max_age": "5m"}, {"auth_time": int(NOW) + 299}, YES),
    ("max_age, milliseconds", {"max_age": "5m"}, {"auth_time": int(NOW) * 1000}, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "facts", "expected"), [pytest.param(*case, id=name) for name, *case in CASES]
)
def test_what_a_person_is(
    rule: dict[str, Any], facts: dict[str, Any], expected: bool | None
) -> None:
    asked = Asked(NOW)
    assert value(rule, facts, asked) is expected
    assert (rules(**rule).denied(person(**facts), asked) is None) is (expected is YES)
    assert (rules(**{"not": [rule]}).denied(person(**facts), asked) is None) is (expected is NO)


@pytest.mark.parametrize(
    ("rule", "asked", "expected"),
    [
        pytest.param({"methods": ["POST"]}, Asked(NOW, "POST"), YES, id="method"),
        pytest.param({"methods": ["POST"]}, Asked(NOW, "PUT"), NO, id="another method"),
        pytest.param({"methods": ["POST"]}, Asked(NOW), UNKNOWN, id="no method"),
        pytest.param({"methods": ["GET"]}, Asked(NOW, "HEAD"), YES, id="GET includes HEAD"),
        pytest.param({"methods": ["HEAD"]}, Asked(NOW, "GET"), NO, id="HEAD is not GET"),
        pytest.param({"networks": ["10.0.0.0/8"]}, Asked(NOW, "", "10.9.9.9"), YES, id="inside"),
        pytest.param({"networks": ["10.0.0.0/8"]}, Asked(NOW, "", "11.0.0.0"), NO, id="outside"),
        pytest.param({"networks": ["10.0.0.0/8"]}, Asked(NOW), UNKNOWN, id="no address"),
        pytest.param({"networks": ["0.0.0.0/0"]}, Asked(NOW, "", "unix:"), UNKNOWN, id="unix peer"),
        pytest.param({"networks": ["10.0.0.0/8"]}, Asked(NOW, "", "::ffff:10.0.0.1"), YES,
                     id="IPv4 in IPv6"),
        pytest.param({"networks": ["::ffff:10.0.0.0/104"]}, Asked(NOW, "", "10.0.0.1"), YES,
                     id="a network written so"),
        pytest.param({"networks": ["::/0"]}, Asked(NOW, "", "10.0.0.1"), NO, id="not IPv6"),
        pytest.param({"networks": ["::/0"]}, Asked(NOW, "", "2001:db8::1"), YES, id="IPv6"),
    ],
)  # fmt: skip
def test_what_a_request_is(rule: dict[str, Any], asked: Asked, expected: bool | None) -> None:
    assert value(rule, {}, asked) is expected
    assert not rules(**rule).steady


@pytest.mark.parametrize(
    ("rule", "facts", "reason"),
    [
        ({"email_domains": ["x.example"]}, {}, Reason.EMAIL_NOT_ALLOWED),
        ({"email_domains": ["x.example"]}, {"email": ""}, Reason.EMAIL_MISSING),
        ({"emails_file": "/lists/people"}, {}, Reason.EMAIL_NOT_ALLOWED),
        ({"emails_file": "/lists/people"}, {"email": ""}, Reason.EMAIL_MISSING),
        ({"groups": {"all": ["x"]}}, {}, Reason.GROUP_NOT_ALLOWED),
        ({"roles": ["x"]}, {}, Reason.ROLE_NOT_ALLOWED),
        ({"claims": [{"claim": "x", "equals": "y"}]}, {}, Reason.CLAIM_NOT_ALLOWED),
        ({"providers": ["x"]}, {}, Reason.PROVIDER_NOT_ALLOWED),
        ({"methods": ["DELETE"]}, {}, Reason.METHOD_NOT_PERMITTED),
        ({"networks": ["192.0.2.0/24"]}, {}, Reason.NETWORK_NOT_ALLOWED),
        ({"amr": ["otp"]}, {}, Reason.AMR_NOT_ALLOWED),
        ({"acr_values": ["x"]}, {}, Reason.ACR_NOT_ALLOWED),
        ({"max_age": "1m"}, {}, Reason.SIGN_IN_TOO_OLD),
        ({"any": [{"roles": ["x"]}]}, {}, Reason.RULE_NOT_MET),
        ({"not": {"groups": {"any": ["staff"]}}}, {}, Reason.RULE_NOT_MET),
    ],
)
def test_each_kind_has_its_reason(
    rule: dict[str, Any], facts: dict[str, Any], reason: Reason
) -> None:
    denial = rules(**rule).denied(person(**facts), Asked(NOW, "GET", "10.0.0.1"))
    assert denial is not None
    assert denial.reason is reason
