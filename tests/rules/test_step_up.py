"""Would a stronger or fresher sign-in be enough? Then which, and no more than is needed."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.access import AccessRules, Rule
from proxy.errors import Reason
from proxy.rules.access import Rules
from proxy.rules.judged import Asked, StepUp
from tests.session.samples import NOW, person

STAFF, ADMINS = {"groups": {"any": ["staff"]}}, {"groups": {"any": ["admins"]}}
STRONG, FRESH = {"acr_values": ["a2", "a3"]}, {"max_age": "5m"}
OLD = int(NOW) - 3000


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(STRONG, StepUp(("a2", "a3")), id="a stronger one"),
        pytest.param(FRESH, StepUp(max_age=300), id="a fresher one"),
        pytest.param({**STRONG, **FRESH}, StepUp(("a2", "a3"), 300), id="both"),
        pytest.param({"max_age": "1h", **STRONG}, StepUp(("a2", "a3")), id="fresh enough already"),
        pytest.param({"all": [STRONG, {"acr_values": ["a3", "a4"]}]}, StepUp(("a3",)),
                     id="what both rules accept"),
        pytest.param({"all": [STRONG, {"acr_values": ["a4"]}]}, None, id="what no sign-in can be"),
        pytest.param({"all": [FRESH, {"max_age": "1m"}]}, StepUp(max_age=60), id="the freshest"),
        pytest.param({"any": [STRONG, FRESH]}, StepUp(max_age=300), id="the same class if that do"),
        pytest.param({"any": [ADMINS, STRONG]}, StepUp(("a2", "a3")), id="one of several ways"),
        pytest.param({"any": [{**ADMINS, **FRESH}, {**STAFF, "max_age": "1m"}]},
                     StepUp(max_age=60), id="as fresh as the way that is open"),
        pytest.param({**STRONG, **ADMINS}, None, id="a group is missing as well"),
        pytest.param({**STRONG, "amr": ["otp"]}, None, id="methods cannot be asked for"),
        pytest.param(ADMINS, None, id="nothing about the sign-in"),
        pytest.param({"not": {"acr_values": ["a1"]}}, None, id="below a not"),
        pytest.param({"not": [{"acr_values": ["a2"]}], **STRONG}, StepUp(("a3",)),
                     id="but for what is not wanted"),
        pytest.param({"not": [{"not": [FRESH]}]}, None, id="below two"),
    ],
)  # fmt: skip
def test_the_least_sign_in_that_is_enough(rule: dict[str, Any], expected: StepUp | None) -> None:
    someone = person(acr="a1", auth_time=OLD)
    denial = Rules.of(Rule.model_validate(rule), "rule").denied(someone, Asked(NOW, "GET"))
    assert denial is not None
    assert denial.step_up == expected


@pytest.mark.parametrize(
    ("everywhere", "route", "reason"),
    [
        pytest.param(STRONG, ADMINS, Reason.GROUP_NOT_ALLOWED, id="a group"),
        pytest.param(FRESH, ADMINS, Reason.GROUP_NOT_ALLOWED, id="a group, on an old sign-in"),
        pytest.param(STRONG, {"acr_values": ["a9"]}, Reason.ACR_NOT_ALLOWED, id="itself"),
        pytest.param(STRONG, STAFF, Reason.ACR_NOT_ALLOWED, id="nothing"),
    ],
)
def test_what_a_better_sign_in_would_not_help_is_said_first(
    everywhere: dict[str, Any], route: dict[str, Any], reason: Reason
) -> None:
    whole, own = AccessRules.model_validate(everywhere), Rule.model_validate(route)
    denial = Rules.compile(whole, own).denied(person(acr="a1"), Asked(NOW))
    assert denial is not None
    assert denial.reason is reason


@pytest.mark.parametrize("known", [None, OLD, int(NOW) * 1000], ids=["none", "old", "unreadable"])
def test_a_sign_in_whose_time_nobody_knows_is_made_again(known: int | None) -> None:
    rules = Rules.of(Rule.model_validate(FRESH), "rule")
    denial = rules.denied(person(auth_time=known), Asked(NOW))
    assert denial is not None
    assert denial.step_up == StepUp(max_age=300)
