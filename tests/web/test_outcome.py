"""Verdicts in words: each has one, and says all that stands in the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.config.access import Access, AccessRules, Groups, Rule
from proxy.errors import ProxyError, Reason
from proxy.model import Identity
from proxy.rules.access import Rules
from proxy.rules.gate import Forward, Login, Refresh, Refuse, StrengthenLogin, Verdict
from proxy.rules.judged import Asked, Denial, Line, StepUp
from proxy.rules.routes import Route
from proxy.web.outcome import Outcome, lines_document, page_of, signed_in

ADA = Identity("https://idp.example", "1", "ada", groups=("staff",), auth_time=1000)
SESSION = signed_in(ADA, 1000.0)
STRONGER = StepUp(("strong",), 300.0)
DENIED = Denial(Reason.GROUP_NOT_ALLOWED, "staff only", "Ask for it.")
WEAK = replace(DENIED, step_up=STRONGER)
ASKED = Asked(1000.0, "GET", "192.0.2.7")


@pytest.mark.parametrize(
    ("verdict", "document", "allowed"),
    [
        pytest.param(Forward(SESSION), {"verdict": "allowed"}, True, id="with identity"),
        pytest.param(Forward(None), {"verdict": "anonymous"}, True, id="without"),
        pytest.param(Login(), {"verdict": "sign_in", "reason": "no_session"}, False, id="sign in"),
        pytest.param(
            Refuse(Reason.NO_SESSION),
            {"verdict": "refused", "reason": "no_session"},
            False,
            id="401",
        ),
        pytest.param(
            Refuse(Reason.GROUP_NOT_ALLOWED, DENIED),
            {
                "verdict": "refused",
                "reason": "group_not_allowed",
                "rule": "staff only",
                "remedy": "Ask for it.",
            },
            False,
            id="a rule",
        ),
        pytest.param(
            StrengthenLogin(STRONGER, WEAK),
            {
                "verdict": "step_up",
                "reason": "group_not_allowed",
                "rule": "staff only",
                "remedy": "Ask for it.",
                "step_up": {"acr_values": ["strong"], "max_age": 300.0},
            },
            False,
            id="step-up",
        ),
    ],
)
def test_each_verdict_has_its_words(
    verdict: Verdict, document: dict[str, object], allowed: bool
) -> None:
    outcome = Outcome.of(verdict)
    assert outcome.document() == document
    assert outcome.is_allowed == allowed
    assert outcome.is_nobody == (document.get("reason") == "no_session")


def test_a_refresh_is_no_verdict_yet() -> None:
    with pytest.raises(ProxyError):
        Outcome.of(Refresh(SESSION))


def test_what_the_rules_alone_said() -> None:
    assert Outcome.denied(None).is_allowed
    assert Outcome.denied(DENIED) == Outcome("refused", DENIED.reason, DENIED.rule, DENIED.remedy)


def _route(access: Access = Access.REQUIRED, rule: Rule | None = None, **more: object) -> Route:
    rules = Rules.compile(AccessRules(), rule)
    return Route("/x/*", access, ("http://app",), rules=rules, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("route", "word"),
    [
        pytest.param(_route(), "allowed", id="no condition"),
        pytest.param(_route(Access.PUBLIC), "anonymous", id="public"),
        pytest.param(
            _route(rule=Rule(groups=Groups(any=("staff",)))), "allowed", id="in the group"
        ),
        pytest.param(_route(rule=Rule(groups=Groups(any=("x",)))), "refused", id="not in it"),
        pytest.param(_route(rule=Rule(acr_values=("strong",))), "step_up", id="too weak"),
        pytest.param(
            _route(rule=Rule(acr_values=("strong",)), methods=frozenset({"POST"})),
            "refused",
            id="no page to be sent on from",
        ),
        pytest.param(_route(rule=Rule(methods=("GET",))), "allowed", id="as a GET"),
    ],
)
def test_a_route_is_asked_as_a_browser_would(route: Route, word: str) -> None:
    assert page_of(route, ADA, ASKED).word == word


def test_a_supposed_session_opens_nothing() -> None:
    assert (SESSION.id, SESSION.tokens.id_token, SESSION.tokens.refresh_token) == ("", "", "")
    assert (SESSION.expires_at, SESSION.refresh_at) == (4600.0, None)


def test_lines_keep_what_is_not_known() -> None:
    assert lines_document([Line(0, "a", True), Line(1, "b", None)]) == [
        {"depth": 0, "rule": "a", "holds": True},
        {"depth": 1, "rule": "b", "holds": None},
    ]
