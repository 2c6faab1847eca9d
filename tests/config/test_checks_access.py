"""The rules about people, at any depth, and about names that must be known."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.config.configurations import MINIMAL, SEVERAL, problems_of


def reported(flags: Mapping[str, str], text: str = MINIMAL) -> str:
    return "\n".join(problems_of(text, flags=flags))


@pytest.mark.parametrize(
    ("rule", "key", "words"),
    [
        pytest.param("email_domains: ['@example.org']", "email_domains", "without the @", id="at"),
        pytest.param("email_domains: ['a b.org']", "email_domains", "not a domain", id="space"),
        pytest.param("email_domains: [straße.example]", "email_domains", "not a domain", id="ß"),
        pytest.param("emails: [a@b@c.org]", "emails", "'a@b@c.org' is not an e-mail", id="two ats"),
        pytest.param("emails: [example.org]", "emails", "not an e-mail address", id="no at"),
        pytest.param("emails: ['a b@c.org']", "emails", "not an e-mail address", id="a gap"),
        pytest.param("methods: [get]", "methods", "'get' is not a method", id="lower case"),
        pytest.param("methods: ['GET POST']", "methods", "is not a method", id="two methods"),
        pytest.param(
            "claims: [{claim: a, equals: b}, {claim: a, matches: '(b'}]",
            "claims.1.matches",
            "is not a regular expression: missing )",
            id="half an expression",
        ),
        pytest.param(
            "claims: [{claim: a, matches: '([a-z]+-?)+'}]", "claims.0.matches",
            "repeats what is repeated", id="an expression that takes for ever",
        ),
        pytest.param("networks: [10.0.0.1/8]", "networks.0", "is not a network", id="host bits"),
        pytest.param("max_age: -1s", "max_age", "is not a duration", id="an age below 0"),
        pytest.param("providers: [okta]", "providers", "'okta' is the name of no", id="provider"),
        pytest.param("roles: [boss]", "roles", "'boss' is the name of no role", id="role"),
        pytest.param("any: [{}]", "any.0", "says nothing", id="an empty rule"),
        pytest.param("all: [{name: a, remedy: b}]", "all.0", "says nothing", id="only words"),
        pytest.param("not: [{methods: []}]", "not.0.methods", "is empty", id="no methods"),
        pytest.param("groups: {any: []}", "groups.any", "is empty", id="groups of nobody"),
        pytest.param("groups: {all: ','}", "groups.all", "is empty", id="only a comma"),
        pytest.param("emails: []", "emails", "is empty", id="addresses of nobody"),
        pytest.param("emails_file: ''", "emails_file", "is empty", id="no file"),
        pytest.param("any: []", "any", "is empty", id="none of no rules"),
        pytest.param("not: []", "not", "is empty", id="not even a rule"),
        pytest.param(
            "claims: [{claim: a, present: true, in: []}]", "claims.0.in", "is empty", id="in none"
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("place", "around"),
    [
        pytest.param("access", "access: {{{}}}", id="everywhere"),
        pytest.param("access.any.0", "access: {{any: [{{{}}}]}}", id="in any"),
        pytest.param("access.not.0", "access: {{not: {{{}}}}}", id="one under not"),
        pytest.param(
            "access.all.1.not.0.any.0",
            "access: {{all: [{{emails: [a@b.example]}}, {{not: [{{any: [{{{}}}]}}]}}]}}",
            id="deep",
        ),
        pytest.param("routes.0.rule", "routes: [{{path: /a, rule: {{{}}}}}]", id="in a route"),
        pytest.param(
            "routes.0.rule.any.0.all.0",
            "routes: [{{path: /a, rule: {{any: [{{all: [{{{}}}]}}]}}}}]",
            id="deep in a route",
        ),
    ],
)
def test_conditions_are_checked_with_their_place(
    place: str, around: str, rule: str, key: str, words: str
) -> None:
    text = f"{MINIMAL}{around.format(rule)}\nroles: [{{name: admin}}]\n"
    [problem] = problems_of(text)
    assert problem.startswith(f"proxy.cfg:9: {place}.{key}: ")
    assert words in problem


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param({"access.email_domains": "*,example.org,.lyon.fr,*.paris.fr"}, id="domains"),
        pytest.param({"access.emails": "jean.dupont@example.org"}, id="an address"),
        pytest.param({"access.methods": "GET,M-SEARCH"}, id="methods, for all routes"),
        pytest.param({"access.claims": "[{claim: a, matches: 'b+'}]"}, id="an expression"),
        pytest.param({"access.claims": "[{claim: a, matches: '(?:b++-?)+c*'}]"}, id="++ in +"),
        pytest.param({"access.claims": "[{claim: a, matches: '((?>b+)|c{2,5})*'}]"}, id="atomic"),
        pytest.param({"access.not": "{claims: [{claim: a, present: true}]}"}, id="one under not"),
        pytest.param({"access.any": "[{groups: {any: [a]}}, {networks: [10.0.0.0/8]}]"}, id="or"),
        pytest.param({"access.providers": "default"}, id="the one provider"),
        pytest.param({"provider.name": "ours", "access.providers": "ours"}, id="by its name"),
        pytest.param({"access.roles": "boss"}, id="any role, without a table of them"),
        pytest.param({"routes": "[{path: /a, rule: {}}]"}, id="a route without conditions"),
        pytest.param({"default_role": "user"}, id="one role for all"),
    ],
)
def test_what_is_accepted(flags: Mapping[str, str]) -> None:
    assert reported(flags) == ""


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"access.providers": "google,partners"}, "", id="both"),
        pytest.param(
            {"access.providers": "default"},
            "access.providers: 'default' is the name of no provider; known: google, partners",
            id="the name of a single one",
        ),
        pytest.param({"routes": "[{path: /a, provider: google}]"}, "", id="a route's"),
        pytest.param(
            {"routes": "[{path: /a}, {path: /b, provider: gogle}]"},
            "routes.1.provider: 'gogle' is the name of no provider; known: google, partners",
            id="a route's, misspelt",
        ),
    ],
)
def test_providers_are_known(flags: Mapping[str, str], expected: str) -> None:
    found = reported(flags, SEVERAL)
    assert expected in found
    assert bool(found) is bool(expected)


TABLE = "[{name: admin, groups: [admins]}, {name: user, emails: [a@b.example]}]"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"access.roles": "admin,user", "default_role": "user"}, "", id="all known"),
        pytest.param({"default_role": "guest"}, "default_role: 'guest' is the name", id="default"),
        pytest.param({"access.roles": "guest"}, "access.roles: 'guest' is the name", id="a rule's"),
        pytest.param(
            {"debug.enabled": "true", "debug.roles": "root"},
            "debug.roles: 'root' is the name of no role; known: admin, user",
            id="the debug page's",
        ),
        pytest.param(
            {"roles": "[{name: a}, {name: b}, {name: a}]"},
            "roles.2.name: 'a' is already roles.0",
            id="one name",
        ),
        pytest.param(
            {"roles": "[{name: a, emails: [here]}]"},
            "roles.0.emails: 'here' is not an e-mail address",
            id="an address",
        ),
        pytest.param({"roles": "[{groups: [a]}]"}, "roles.0.name: is needed", id="no name"),
    ],
)
def test_roles(flags: Mapping[str, str], expected: str) -> None:
    found = reported({"roles": TABLE, **flags})
    assert expected in found
    assert len(found.splitlines()) == bool(expected)


def test_a_wrong_route_hides_no_problem_about_people() -> None:
    found = reported({"routes": "[{path: ping}]", "access.emails": "foo"})
    assert "routes.0.path: " in found
    assert "access.emails: 'foo'" in found


def test_a_condition_that_cannot_be_read_does_not_make_its_rule_empty() -> None:
    [problem] = problems_of(f"{MINIMAL}access:\n  any:\n    - max_age: soon\n")
    assert "access.any.0.max_age: 'soon'" in problem


@pytest.mark.parametrize(
    ("role", "words"),
    [
        pytest.param("providers: [nobody]", "'nobody' is the name of no provider", id="unknown"),
        pytest.param("subjects: [s1]", "'s1' is not issuer#sub", id="anybody's id"),
        pytest.param("subjects: ['s1#2']", "'s1#2' is not issuer#sub", id="no issuer"),
        pytest.param("subjects: ['https://id.example#s1']", "", id="issuer and sub"),
    ],
)
def test_roles_with_several_providers(role: str, words: str) -> None:
    found = reported({"roles": f"[{{name: a, {role}}}]"}, SEVERAL)
    assert (words in found) if words else ("roles" not in found)
    assert "subjects" not in reported({"roles": "[{name: a, subjects: [s1]}]"})
