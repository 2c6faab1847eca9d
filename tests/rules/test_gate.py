"""THE truth table: access × session × rules × kind → verdict."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import pytest

from proxy.config.access import Access, AccessRules
from proxy.errors import Reason
from proxy.model import Kind, Session, Target
from proxy.rules.access import ANYONE, Rules
from proxy.rules.gate import (
    Forward,
    Login,
    Refresh,
    Refuse,
    StrengthenLogin,
    Verdict,
    alive,
    decide,
    passes_through,
    refresh_due,
)
from proxy.rules.judged import Denial, StepUp
from proxy.rules.routes import Route
from tests.session.samples import NOW, person, session

STAFF = Rules.compile(AccessRules.model_validate({"groups": {"any": ["staff"]}}))

SESSIONS = {
    "none": None,
    "allowed": session(),
    "denied": session(identity=person(groups=("guests",))),
    "incomplete": session(identity=person(user="")),
    "due": session(refresh_at=NOW),
    "due and denied": session(identity=person(groups=("guests",)), refresh_at=NOW - 1),
    "not yet due": session(refresh_at=NOW + 1),
}
RULES = {"anyone": ANYONE, "staff": STAFF}


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    access: Access
    who: str
    rules: str
    kind: Kind
    api: bool
    passthrough: bool

    @property
    def session(self) -> Session | None:
        return SESSIONS[self.who]

    @property
    def passes(self) -> bool:
        """Has a session that the rules let pass, said without the code under test."""
        if self.who == "denied":
            return self.rules == "anyone"
        return self.who in ("allowed", "not yet due")

    def decide(self) -> Verdict:
        route = Route("/*", self.access, ("http://a",), rules=RULES[self.rules], api=self.api)
        return decide(route, self.session, asking(self.kind), NOW, passthrough=self.passthrough)


def asking(kind: Kind, method: str = "GET") -> Target:
    return Target(method, "https", "a.example", "/", "/", "", kind, "192.0.2.7")


def refused(reason: Reason, rule: str) -> Refuse:
    return Refuse(reason, Denial(reason, rule))


CASES = [
    Case(*values) for values in product(Access, SESSIONS, RULES, Kind, (False, True), (False, True))
]


def expected(case: Case) -> Verdict:
    """The table, one row a ``case``, as the house has it."""
    match case:
        case Case(access=Access.PUBLIC):
            return Forward(None)
        case Case(who="none", access=Access.OPTIONAL) | Case(who="none", passthrough=True):
            return Forward(None)
        case Case(who="none", kind=Kind.NAVIGATION, api=False):
            return Login()
        case Case(who="none"):
            return Refuse(Reason.NO_SESSION)
        case Case(who="due" | "due and denied"):
            assert case.session is not None
            return Refresh(case.session)
        case Case(who="incomplete"):
            return refused(Reason.IDENTITY_INCOMPLETE, "identity")
        case Case(who="denied", rules="staff"):
            return refused(Reason.GROUP_NOT_ALLOWED, "access.groups")
        case _:
            return Forward(case.session)


@pytest.mark.parametrize("who", SESSIONS)
@pytest.mark.parametrize("access", Access)
def test_the_table(access: Access, who: str) -> None:
    for case in CASES:
        if (case.access, case.who) == (access, who):
            assert case.decide() == expected(case), case


def test_the_table_is_whole() -> None:
    assert len(CASES) == len(set(CASES)) == 3 * 7 * 2 * 3 * 2 * 2


def test_nobody_gets_an_identity_without_a_session_and_a_passed_rule() -> None:
    for case in CASES:
        verdict = case.decide()
        if isinstance(verdict, Forward) and verdict.session is not None:
            assert case.passes, case
            assert verdict.session is case.session
            assert case.access is not Access.PUBLIC


def test_a_required_route_is_never_forwarded_without_an_identity() -> None:
    """But for a key that the route expressly hands on."""
    for case in CASES:
        if case.access is Access.REQUIRED and not case.passthrough:
            assert case.decide() != Forward(None), case


def test_a_public_route_is_always_forwarded_and_always_without_an_identity() -> None:
    for case in CASES:
        if case.access is Access.PUBLIC:
            assert case.decide() == Forward(None), case


def test_only_a_page_of_a_route_that_is_no_api_is_sent_to_sign_in() -> None:
    for case in CASES:
        if case.decide() == Login():
            assert case.kind is Kind.NAVIGATION, case
            assert not case.api
            assert case.session is None


def test_a_known_person_is_never_told_to_sign_in_again() -> None:
    """401 and redirects are for the unknown: a denied person would sign in for ever (B24)."""
    for case in CASES:
        if case.session is not None:
            assert case.decide() not in (Login(), Refuse(Reason.NO_SESSION)), case


def test_old_facts_never_decide() -> None:
    """Rights that changed at the provider (Pomerium CVE-2021-41230): ask first, then judge."""
    for case in CASES:
        if case.who.startswith("due") and case.access is not Access.PUBLIC:
            assert isinstance(case.decide(), Refresh), case


STRONG = Rules.compile(AccessRules.model_validate({"acr_values": ["mfa"], "remedy": "Use a key."}))
FRESH = Rules.compile(AccessRules.model_validate({"max_age": "5m", "groups": {"any": ["staff"]}}))


@pytest.mark.parametrize("access", [Access.REQUIRED, Access.OPTIONAL])
@pytest.mark.parametrize("api", [False, True])
@pytest.mark.parametrize("kind", Kind)
def test_a_weak_sign_in_is_made_stronger_where_a_page_is_asked_for(
    kind: Kind, api: bool, access: Access
) -> None:
    denial = Denial(
        Reason.ACR_NOT_ALLOWED, "access.acr_values", "Use a key.", StepUp(acr_values=("mfa",))
    )
    route = Route("/*", access, ("http://a",), rules=STRONG, api=api)
    verdict = decide(route, session(identity=person(acr="pwd")), asking(kind), NOW)
    if kind is Kind.NAVIGATION and not api:
        assert verdict == StrengthenLogin(StepUp(acr_values=("mfa",)), denial)
    else:
        assert verdict == Refuse(Reason.ACR_NOT_ALLOWED, denial)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param({"auth_time": int(NOW) - 300}, None, id="fresh"),
        pytest.param({"auth_time": int(NOW) - 301}, Reason.SIGN_IN_TOO_OLD, id="a second older"),
        pytest.param({}, Reason.SIGN_IN_TOO_OLD, id="nobody knows"),
        pytest.param({"groups": ("guests",)}, Reason.GROUP_NOT_ALLOWED, id="and no group"),
    ],
)
def test_an_old_sign_in_is_made_anew_unless_that_would_not_help(
    facts: dict[str, Any], reason: Reason | None
) -> None:
    route = Route("/*", Access.REQUIRED, ("http://a",), rules=FRESH)
    known = session(identity=person(**facts))
    match decide(route, known, asking(Kind.NAVIGATION), NOW):
        case Forward(session=forwarded):
            assert reason is None
            assert forwarded is known
        case StrengthenLogin(step_up=step_up, denial=denial):
            assert reason is denial.reason is Reason.SIGN_IN_TOO_OLD
            assert step_up == StepUp(max_age=300)
        case verdict:
            assert verdict == refused(Reason.GROUP_NOT_ALLOWED, "access.groups")
            assert reason is Reason.GROUP_NOT_ALLOWED


@pytest.mark.parametrize(
    ("refresh_at", "due"),
    [(None, False), (NOW + 0.1, False), (NOW, True), (NOW - 100, True), (0.0, True)],
)
def test_a_refresh_is_due_at_its_moment(refresh_at: float | None, due: bool) -> None:
    assert refresh_due(session(refresh_at=refresh_at), NOW) is due


@pytest.mark.parametrize(
    ("now", "idle", "expected_alive"),
    [
        pytest.param(NOW, 0, True, id="fresh"),
        pytest.param(NOW + 3599, 0, True, id="before its end"),
        pytest.param(NOW + 3600, 0, False, id="at its end"),
        pytest.param(NOW + 9999, 0, False, id="after its end"),
        pytest.param(NOW, 61, True, id="not idle for long"),
        pytest.param(NOW, 60, False, id="idle to the limit"),
        pytest.param(NOW + 3600, 99999, False, id="used, but at its end"),
        pytest.param(NOW - 120, 60, True, id="seen by a clock that is ahead"),
    ],
)
def test_a_session_is_alive_until_its_end_and_while_it_is_used(
    now: float, idle: float, expected_alive: bool
) -> None:
    assert alive(session(), now, idle) is expected_alive


ROUTE = Route("/*", Access.REQUIRED, ("http://a",), passthrough=("sk-", "key-"))


@pytest.mark.parametrize(
    ("authorization", "passes"),
    [
        pytest.param("Bearer sk-123", True, id="our prefix"),
        pytest.param("bearer key-1", True, id="scheme in lower case"),
        pytest.param("Bearer  sk-1", True, id="two spaces"),
        pytest.param("Bearer xsk-123", False, id="not at the beginning"),
        pytest.param("Bearer SK-123", False, id="case matters"),
        pytest.param("Bearer", False, id="no key"),
        pytest.param("Bearer ", False, id="empty key"),
        pytest.param("sk-123", False, id="no scheme"),
        pytest.param("Basic sk-123", False, id="another scheme"),
        pytest.param("Bearer eyJ sk-123", False, id="second word"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_key_passes_by_its_prefix(authorization: str, passes: bool) -> None:
    assert passes_through(ROUTE, authorization) is passes


def test_without_prefixes_no_key_passes() -> None:
    route = dataclasses.replace(ROUTE, passthrough=())
    assert not passes_through(route, "Bearer ")
    assert not passes_through(route, "Bearer sk-1")
