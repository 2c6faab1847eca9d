"""No way around the rules: random trees, people and requests, against a slow reading of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.access import Access
from proxy.model import Identity, Kind, Session, Target
from proxy.rules.gate import Forward, Refuse, StrengthenLogin, Verdict, decide
from proxy.rules.judged import Asked, StepUp
from proxy.rules.routes import Route
from tests.rules.naive import SCENES, Scene, allowed, could_sign_in_better
from tests.session.samples import session


@settings(max_examples=200, deadline=None)
@given(scene=SCENES)
def test_the_compiled_rules_say_what_a_slow_reading_says(scene: Scene) -> None:
    rules = scene.compiled()
    for someone, asked in scene:
        denial = rules.denied(someone, asked)
        assert (denial is None) is allowed(scene.rules, someone, asked), (someone, asked)
        first, *rest = rules.explained(someone, asked)
        assert (first.holds is True) is (denial is None)
        assert first.depth == 0
        assert all(line.depth > 0 and line.words for line in rest)
        assert denial is None or denial.rule


@settings(max_examples=200, deadline=None)
@given(scene=SCENES)
def test_a_better_sign_in_is_asked_for_exactly_where_it_is_enough(scene: Scene) -> None:
    rules = scene.compiled()
    for someone, asked in scene:
        denial = rules.denied(someone, asked)
        if denial is not None:
            helps = could_sign_in_better(scene.rules, someone, asked)
            assert (denial.step_up is not None) is helps, (someone, asked)
            if denial.step_up is not None:
                for better in _after(denial.step_up, someone, asked):
                    assert allowed(scene.rules, better, asked), better


def _after(step_up: StepUp, someone: Identity, asked: Asked) -> list[Identity]:
    """Whom the provider may make of them: of each class, as old as may be or quite fresh."""
    now, limit, known = int(asked.now), step_up.max_age, someone.auth_time
    times = [known] if limit is None else [now, now - int(limit) + 1]
    if limit is not None and known is not None and known <= now:
        times = [max(known, when or 0) for when in times]  # a sign-in never grows older
    classes = step_up.acr_values or (someone.acr,)
    return [replace(someone, acr=acr, auth_time=when) for acr, when in product(classes, times)]


@settings(max_examples=100, deadline=None)
@given(scene=SCENES)
def test_the_answer_of_steady_rules_may_be_remembered(scene: Scene) -> None:
    rules = scene.compiled()
    if rules.steady:
        for someone in scene.people:
            answers = {allowed(scene.rules, someone, asked) for asked in scene.requests}
            assert answers == {rules.denied(someone, Asked(0)) is None}


@settings(max_examples=100, deadline=None)
@given(scene=SCENES)
def test_whom_rules_refuse_before_any_request_no_request_would_let_in(scene: Scene) -> None:
    before = scene.compiled(of_requests=False)
    for someone, asked in scene:
        if before.denied(someone, Asked(asked.now)) is not None:
            assert not allowed(scene.rules, someone, asked), (someone, asked)


@settings(max_examples=200, deadline=None)
@given(scene=SCENES, access=st.sampled_from(Access), api=st.booleans(), passthrough=st.booleans())
def test_no_identity_reaches_an_upstream_past_the_rules(
    scene: Scene, access: Access, api: bool, passthrough: bool
) -> None:
    route = Route("/x", access, ("http://a",), rules=scene.compiled(), api=api)
    for (someone, asked), kind in product(scene, Kind):
        known = session(identity=someone)
        target = Target(asked.method, "https", "a.example", "/x", "/x", "", kind, asked.client)
        verdict = decide(route, known, target, asked.now, passthrough=passthrough)
        if access is Access.PUBLIC:
            assert verdict == Forward(None)
        else:
            may_redirect = kind is Kind.NAVIGATION and not api
            _is_right(verdict, known, allowed(scene.rules, someone, asked), may_redirect)


def _is_right(verdict: Verdict, known: Session, may: bool, may_redirect: bool) -> None:
    match verdict:
        case Forward(session=forwarded):
            assert forwarded is known
            assert may
        case StrengthenLogin(step_up=step_up, denial=denial):
            assert not may
            assert step_up == denial.step_up
            assert may_redirect
        case Refuse(reason=reason, denial=denial):
            assert not may
            assert denial is not None
            assert reason is denial.reason
            assert denial.step_up is None or not may_redirect
        case _:
            raise AssertionError(verdict)
