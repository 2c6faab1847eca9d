"""Which rule it was, where it stands, and what it tells people; and the whole tree, explained."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.access import AccessRules, Rule
from proxy.rules.access import Rules
from proxy.rules.judged import Asked, Line
from tests.session.samples import NOW, person

STAFF = {"groups": {"any": ["staff"]}}  # holds
ADMINS = {"groups": {"any": ["admins"]}}  # does not
MFA = {"amr": ["otp"]}  # unknown


def rules(everywhere: dict[str, Any], route: dict[str, Any] | None = None) -> Rules:
    own = Rule.model_validate(route) if route is not None else None
    return Rules.compile(AccessRules.model_validate(everywhere), own, where="route /admin/*")


@pytest.mark.parametrize(
    ("everywhere", "route", "rule", "remedy"),
    [
        pytest.param(ADMINS, None, "access.groups", "", id="a place"),
        pytest.param({}, ADMINS, "route /admin/*: groups", "", id="a place on a route"),
        pytest.param({"all": [STAFF, {"all": [ADMINS]}]}, None, "access.all.1.all.0.groups", "",
                     id="a deep place"),
        pytest.param({"any": [ADMINS, MFA]}, None, "access.any", "", id="none of several"),
        pytest.param({}, {"not": STAFF}, "route /admin/*: not", "", id="one that should not hold"),
        pytest.param({"name": "admins only", **ADMINS, "remedy": "Ask Ann."}, None, "admins only",
                     "Ask Ann.", id="name and remedy"),
        pytest.param({"name": "outer", "remedy": "Out.",
                      "all": [{"name": "inner", "remedy": "In.", **ADMINS}]}, None,
                     "inner", "In.", id="the innermost of both"),
        pytest.param({"name": "outer", "remedy": "Out.", "all": [{"remedy": "In.", **ADMINS}]},
                     None, "outer", "In.", id="the innermost that has one"),
        pytest.param({"remedy": "Everywhere."}, {"remedy": "Here.", **ADMINS},
                     "route /admin/*: groups", "Here.", id="the route's over the global one"),
        pytest.param({"name": "all", "remedy": "Everywhere."}, ADMINS, "route /admin/*: groups",
                     "Everywhere.", id="the global one where the route has none"),
        pytest.param({"remedy": "Everywhere.", **ADMINS}, {"remedy": "Here.", **STAFF},
                     "access.groups", "Everywhere.", id="that of the rule that refused"),
        pytest.param({"not": [ADMINS, {"name": "blocked", "remedy": "Call us.", **STAFF}]}, None,
                     "blocked", "Call us.", id="the one below not that holds"),
        pytest.param({"remedy": "Up.", "any": [{"name": "a", "remedy": "A.", **ADMINS}]}, None,
                     "access.any", "Up.", id="no alternative speaks for all"),
    ],
)  # fmt: skip
def test_the_rule_that_refused_is_named(
    everywhere: dict[str, Any], route: dict[str, Any] | None, rule: str, remedy: str
) -> None:
    denial = rules(everywhere, route).denied(person(), Asked(NOW))
    assert denial is not None
    assert (denial.rule, denial.remedy) == (rule, remedy)


def test_what_no_rule_names_is_named_too() -> None:
    checked = rules({"email_verified": "require", "remedy": "Ask Ann."})
    denial = checked.denied(person(email_verified=None), Asked(NOW))
    assert denial is not None
    assert (denial.rule, denial.remedy) == ("access.email_verified", "Ask Ann.")
    denial = checked.denied(person(user=""), Asked(NOW))
    assert denial is not None
    assert denial.rule == "identity"


def test_a_tree_is_explained_line_by_line() -> None:
    checked = rules(
        {"name": "people", "email_domains": ["interieur.gouv.fr"]},
        {"any": [ADMINS, {"methods": ["GET"], **MFA}], "not": [{"acr_values": ["weak"]}]},
    )
    assert checked.explained(person(), Asked(NOW, "GET")) == (
        Line(0, "allowed", None),
        Line(1, "the sign-in says who it is", True),
        Line(1, "email_verified: if_present", True),
        Line(1, "access (people)", True),
        Line(2, "email: interieur.gouv.fr", True),
        Line(1, "route /admin/*", None),
        Line(2, "one of these", None),
        Line(3, "all of these", False),
        Line(4, "groups: admins", False),
        Line(3, "all of these", None),
        Line(4, "methods: GET", True),
        Line(4, "amr: otp", None),
        Line(2, "none of these", None),
        Line(3, "all of these", None),
        Line(4, "acr_values: weak", None),
    )


@pytest.mark.parametrize("way", ["any", "all", "not"])
@pytest.mark.parametrize("one", [True, False, None])
@pytest.mark.parametrize("two", [True, False, None])
def test_three_values(way: str, one: bool | None, two: bool | None) -> None:
    """Kleene's tables, with unknown between no and yes."""
    parts = {True: STAFF, False: ADMINS, None: MFA}
    rank = {True: 1.0, False: 0.0, None: 0.5}
    values = [rank[one], rank[two]]
    expected = {"any": max(values), "all": min(values), "not": 1 - max(values)}[way]
    tree = Rules.of(Rule.model_validate({way: [parts[one], parts[two]]}), "rule")
    whole, *_ = tree.explained(person(), Asked(NOW))
    assert rank[whole.holds] == expected
    assert (tree.denied(person(), Asked(NOW)) is None) is (expected == 1)
