"""Who may pass: each condition, how they add up, and every past way around one."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.access import AccessRules, Rule
from proxy.errors import Reason
from proxy.model import Identity
from proxy.rules.access import ANYONE, Rules, claim_paths
from proxy.rules.judged import Asked
from tests.session.samples import NOW, person

ASKED = Asked(NOW, "GET", "192.0.2.7")


def rules(route: dict[str, Any] | None = None, **everywhere: Any) -> Rules:
    own = Rule.model_validate(route) if route is not None else None
    whole = AccessRules.model_validate({"email_verified": "ignore"} | everywhere)
    return Rules.compile(whole, own, where="route /x")


def why(checked: Rules, someone: Identity, asked: Asked = ASKED) -> Reason | None:
    denial = checked.denied(someone, asked)
    return denial.reason if denial else None


E14 = rules(email_domains=["interieur.gouv.fr", ".lyon.fr"])


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        pytest.param("x@interieur.gouv.fr", None, id="exact domain"),
        pytest.param("x@a.lyon.fr", None, id="subdomain"),
        pytest.param("x@a.b.lyon.fr", None, id="deeper subdomain"),
        pytest.param("x@evil.fr", Reason.EMAIL_NOT_ALLOWED, id="another domain"),
        pytest.param("x@lyon.fr", Reason.EMAIL_NOT_ALLOWED, id="the parent itself"),
        pytest.param("x@notlyon.fr", Reason.EMAIL_NOT_ALLOWED, id="CVE-2021-21291 suffix"),
        pytest.param("x@notinterieur.gouv.fr", Reason.EMAIL_NOT_ALLOWED, id="suffix of a domain"),
        pytest.param("x@a.interieur.gouv.fr", Reason.EMAIL_NOT_ALLOWED, id="below an exact one"),
        pytest.param("x@interieur.gouv.fr.evil.fr", Reason.EMAIL_NOT_ALLOWED, id="prefix"),
        pytest.param("a@lyon.fr@evil.fr", Reason.EMAIL_NOT_ALLOWED, id="GHSA-c5c4 ours first"),
        pytest.param("a@evil.fr@a.lyon.fr", Reason.EMAIL_NOT_ALLOWED, id="GHSA-c5c4 ours last"),
        pytest.param(
            "a@evil.fr@interieur.gouv.fr", Reason.EMAIL_NOT_ALLOWED, id="CVE-2026-40574 exact"
        ),
        pytest.param('"a@interieur.gouv.fr"@evil.fr', Reason.EMAIL_NOT_ALLOWED, id="quoted"),
        pytest.param("", Reason.EMAIL_MISSING, id="missing (B14)"),
        pytest.param("@interieur.gouv.fr", Reason.EMAIL_NOT_ALLOWED, id="no local part"),
        pytest.param("interieur.gouv.fr", Reason.EMAIL_NOT_ALLOWED, id="no @"),
        pytest.param("x@", Reason.EMAIL_NOT_ALLOWED, id="no domain"),
        pytest.param("x@.lyon.fr", Reason.EMAIL_NOT_ALLOWED, id="empty subdomain"),
        pytest.param("x@interieur.gouv.fr.", Reason.EMAIL_NOT_ALLOWED, id="trailing dot"),
        pytest.param("x@interieur.gouv.fr ", Reason.EMAIL_NOT_ALLOWED, id="trailing space"),
        pytest.param("x@interieur.gouv.fr\n", Reason.EMAIL_NOT_ALLOWED, id="line end"),
        pytest.param("x@INTERIEUR.GOUV.FR", Reason.EMAIL_NOT_ALLOWED, id="not normalised"),
    ],
)
def test_email_domains(email: str, reason: Reason | None) -> None:
    """The table of E1.4; ``Identity.email`` comes normalised, so anything else is suspicious."""
    assert why(E14, person(email=email)) is reason


@pytest.mark.parametrize(
    ("entry", "email", "allowed"),
    [
        pytest.param("*", "x@any.example", True, id="any domain"),
        pytest.param("*", "", False, id="any domain needs an address"),
        pytest.param("*", "a@b@c", False, id="any domain needs a good address"),
        pytest.param(" Example.ORG ", "x@example.org", True, id="spaces and capitals"),
        pytest.param("*.example.org", "x@a.example.org", True, id="star form"),
        pytest.param("*.example.org", "x@example.org", False, id="star form, parent"),
        pytest.param("*.example.org", "x@aexample.org", False, id="star form, suffix"),
        pytest.param("bücher.example", "x@xn--bcher-kva.example", True, id="IDNA"),
        pytest.param(".bücher.example", "x@a.xn--bcher-kva.example", True, id="IDNA subdomain"),
        pytest.param("straße.example", "x@strasse.example", False, id="IDNA 2003 replacement"),
        pytest.param("ｅxample.org", "x@example.org", False, id="full-width letter"),
        pytest.param("*example.org", "x@example.org", False, id="star without a dot"),
        pytest.param("*example.org", "x@anything.example", False, id="which opens nothing"),
        pytest.param("**", "x@example.org", False, id="two stars"),
        pytest.param("*.", "x@example.org", False, id="star and dot"),
        pytest.param(".", "x@example.org", False, id="dot"),
        pytest.param("", "x@example.org", False, id="empty entry"),
        pytest.param("@example.org", "x@example.org", False, id="with an @"),
        pytest.param("org", "x@example.org", False, id="top level alone"),
        pytest.param("..example.org", "x@a.example.org", False, id="two dots"),
    ],
)
def test_an_entry_that_is_no_domain_opens_nothing(entry: str, email: str, allowed: bool) -> None:
    """A forward-auth query brings entries that no configuration check has seen."""
    checked = Rules.of(Rule(email_domains=(entry,)), "query")
    assert (why(checked, person(email=email)) is None) is allowed


@pytest.mark.parametrize(
    ("email", "allowed"),
    [
        pytest.param("boss@partner.example", True, id="listed"),
        pytest.param("x@own.example", True, id="or of a listed domain"),
        pytest.param("other@partner.example", False, id="neither"),
        pytest.param("xboss@partner.example", False, id="suffix of a listed one"),
        pytest.param("boss@partner.example@evil.example", False, id="prefix of another"),
        pytest.param("me@xn--bcher-kva.example", True, id="listed with an IDNA domain"),
    ],
)
def test_addresses_are_allowed_besides_domains(email: str, allowed: bool) -> None:
    checked = rules(
        email_domains=["own.example"], emails=[" Boss@Partner.example", "me@Bücher.example"]
    )
    assert (why(checked, person(email=email)) is None) is allowed


@pytest.mark.parametrize(
    ("policy", "verified", "email", "reason"),
    [
        ("require", True, "a@b.example", None),
        ("require", None, "a@b.example", Reason.EMAIL_UNVERIFIED),
        ("require", False, "a@b.example", Reason.EMAIL_UNVERIFIED),
        ("require", True, "", Reason.EMAIL_MISSING),
        ("require", None, "", Reason.EMAIL_MISSING),
        ("if_present", True, "a@b.example", None),
        ("if_present", None, "a@b.example", None),
        ("if_present", False, "a@b.example", Reason.EMAIL_UNVERIFIED),
        ("if_present", None, "", None),
        ("ignore", True, "a@b.example", None),
        ("ignore", None, "a@b.example", None),
        ("ignore", False, "a@b.example", None),
        ("ignore", False, "", None),
    ],
)
def test_verified_addresses(
    policy: str, verified: bool | None, email: str, reason: Reason | None
) -> None:
    checked = rules(email_verified=policy)
    assert why(checked, person(email=email, email_verified=verified)) is reason


def test_an_unverified_address_is_refused_by_default() -> None:
    checked = Rules.compile(AccessRules())
    assert why(checked, person(email_verified=False)) is Reason.EMAIL_UNVERIFIED
    assert why(checked, person(email_verified=None)) is None


def test_the_policy_of_the_whole_holds_on_a_route_with_rules_of_its_own() -> None:
    checked = rules({"groups": {"any": ["staff"]}}, email_verified="require")
    assert why(checked, person(email_verified=None)) is Reason.EMAIL_UNVERIFIED


@pytest.mark.parametrize(
    ("needed", "groups", "allowed"),
    [
        pytest.param({"any": ["a", "b"]}, ["b"], True, id="any: one of them"),
        pytest.param({"any": ["a", "b"]}, ["c"], False, id="any: none of them"),
        pytest.param({"any": ["a"]}, [], False, id="any: no groups at all"),
        pytest.param({"all": ["a", "b"]}, ["b", "a", "c"], True, id="all: each"),
        pytest.param({"all": ["a", "b"]}, ["a"], False, id="all: one missing"),
        pytest.param({"all": ["a"]}, [], False, id="all: no groups at all"),
        pytest.param({"any": ["a"], "all": ["b"]}, ["a", "b"], True, id="both"),
        pytest.param({"any": ["a"], "all": ["b"]}, ["a"], False, id="both: all missing"),
        pytest.param({"any": ["a"], "all": ["b"]}, ["b"], False, id="both: any missing"),
        pytest.param({"any": ["admin"]}, ["Admin"], False, id="case matters"),
        pytest.param({"any": ["admin"]}, ["admins", "xadmin"], False, id="whole names"),
        pytest.param({"any": ["admin"]}, ["admin,users"], False, id="a comma is part of a name"),
        pytest.param({"any": ["admin"]}, [" admin"], False, id="so is a space"),
        pytest.param({}, [], True, id="no condition"),
    ],
)
def test_groups(needed: dict[str, list[str]], groups: list[str], allowed: bool) -> None:
    """A group option that is given is enforced (oauth2-proxy CVE-2021-21411)."""
    expected = None if allowed else Reason.GROUP_NOT_ALLOWED
    someone = person(groups=tuple(groups))
    assert why(rules(groups=needed), someone) is expected
    assert why(rules({"groups": needed}), someone) is expected


@pytest.mark.parametrize(
    ("rule", "claims", "allowed"),
    [
        pytest.param({"any_of": ["agent"]}, {"c": ["agent", "x"]}, True, id="any_of in a list"),
        pytest.param({"any_of": ["agent"]}, {"c": "agent"}, True, id="any_of, one text"),
        pytest.param({"any_of": ["agent"]}, {"c": []}, False, id="any_of, empty list (E1.5)"),
        pytest.param({"any_of": ["agent"]}, {}, False, id="any_of, absent"),
        pytest.param({"any_of": ["agent"]}, {"c": None}, False, id="any_of, null"),
        pytest.param({"any_of": ["None"]}, {"c": None}, False, id="null is not a text"),
        pytest.param({"any_of": ["agent"]}, {"c": "agents"}, False, id="whole values"),
        pytest.param({"any_of": ["agent"]}, {"c": "x agent"}, False, id="a text is one value"),
        pytest.param({"any_of": ["agent"]}, {"c": {"agent": 1}}, False, id="an object is none"),
        pytest.param({"any_of": ["agent"]}, {"c": [["agent"]]}, False, id="nested lists"),
        pytest.param({"any_of": ["agent"]}, {"c": ("agent",)}, True, id="tuples are lists"),
        pytest.param({"any_of": ["11"]}, {"c": 11}, True, id="numbers by their digits"),
        pytest.param({"any_of": ["true"]}, {"c": True}, True, id="true"),
        pytest.param({"any_of": ["1"]}, {"c": True}, False, id="true is not 1"),
        pytest.param({"all_of": ["a", "b"]}, {"c": ["b", "a"]}, True, id="all_of"),
        pytest.param({"all_of": ["a", "b"]}, {"c": ["a"]}, False, id="all_of, one missing"),
        pytest.param({"all_of": ["a"]}, {}, False, id="all_of, absent"),
        pytest.param({"equals": "a"}, {"c": "a"}, True, id="equals"),
        pytest.param({"equals": "a"}, {"c": "A"}, False, id="equals, case"),
        pytest.param({"equals": "a"}, {"c": ["a"]}, False, id="equals, a list is not its item"),
        pytest.param({"equals": "a"}, {"c": ("a",)}, False, id="equals, nor a tuple"),
        pytest.param({"equals": ""}, {}, False, id="equals nothing, absent"),
        pytest.param({"equals": ""}, {"c": ""}, True, id="equals nothing"),
        pytest.param({"any_of": ["a"], "equals": "b"}, {"c": "a"}, False, id="parts add up"),
    ],
)
def test_claim_rules(rule: dict[str, Any], claims: dict[str, Any], allowed: bool) -> None:
    expected = None if allowed else Reason.CLAIM_NOT_ALLOWED
    assert why(rules(claims=[{"claim": "c"} | rule]), person(claims=claims)) is expected


def test_every_claim_rule_must_hold() -> None:
    both = rules(claims=[{"claim": "a", "equals": "1"}, {"claim": "b", "equals": "2"}])
    assert why(both, person(claims={"a": "1", "b": "2"})) is None
    assert why(both, person(claims={"a": "1"})) is Reason.CLAIM_NOT_ALLOWED


@pytest.mark.parametrize(
    ("acr", "reason"),
    [
        pytest.param("eidas2", None, id="strong enough"),
        pytest.param("eidas1", Reason.ACR_NOT_ALLOWED, id="too weak (E1.6)"),
        pytest.param("", Reason.ACR_NOT_ALLOWED, id="not told"),
        pytest.param("eidas20", Reason.ACR_NOT_ALLOWED, id="longer name"),
    ],
)
def test_authentication_context(acr: str, reason: Reason | None) -> None:
    assert why(rules(acr_values=["eidas2", "eidas1-mfa"]), person(acr=acr)) is reason


def test_kinds_of_conditions_add_up() -> None:
    """UP-FINAL ORed them: an allowed group opened to any address (R085)."""
    checked = rules(email_domains=["own.example"], groups={"any": ["staff"]})
    assert why(checked, person(email="x@evil.example")) is Reason.EMAIL_NOT_ALLOWED
    assert why(checked, person(email="x@own.example", groups=())) is Reason.GROUP_NOT_ALLOWED
    assert why(checked, person(email="x@own.example")) is None


def test_a_route_adds_to_the_rules_for_all_and_replaces_none() -> None:
    checked = rules({"email_domains": ["*"]}, email_domains=["own.example"])
    assert why(checked, person(email="x@evil.example")) is Reason.EMAIL_NOT_ALLOWED


@pytest.mark.parametrize("field", ["subject", "user"])
def test_nobody_without_an_id_passes(field: str) -> None:
    """B13: an id is never made up."""
    for checked in (ANYONE, E14):
        assert why(checked, person(**{field: ""})) is Reason.IDENTITY_INCOMPLETE


def test_without_rules_anyone_with_an_id_passes() -> None:
    assert why(ANYONE, person(email="", groups=(), email_verified=None)) is None
    assert Rules.compile(AccessRules(), Rule()).lets_in_everyone


def test_the_claims_that_rules_look_at_are_kept() -> None:
    one = AccessRules.model_validate({"claims": [{"claim": "a", "equals": "1"}]})
    two = Rule.model_validate({"claims": [{"claim": "b.c", "any_of": ["2"]}]})
    assert claim_paths(one, (two, Rule())) == {"a", "b.c"}
