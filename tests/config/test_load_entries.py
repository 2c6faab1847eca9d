"""Entries of lists as they are loaded: places, lines, and what is left of a broken one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.access import ClaimRule, Rule
from proxy.config.declaration import options
from proxy.config.load import Sources, draft
from proxy.config.person import Role
from proxy.config.provider import Provider
from proxy.config.settings import Route
from tests.config.configurations import MINIMAL, SEVERAL, load_text, problems_of


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "client_id: playground",
            "client_idd: x",
            ["8: providers.1.client_id: is needed",
             "11: providers.1.client_idd: unknown option, did you mean client_id?"],
            id="a misspelt key",
        ),
        pytest.param(
            "client_id: playground",
            "client_id: ${ID}",
            ["11: providers.1.client_id: ${ID} is not set"],
            id="a reference without a value is not called missing as well",
        ),
        pytest.param(
            "label: Partners",
            "claims: {grups: [a]}",
            ["9: providers.1.claims.grups: unknown option, did you mean claims.groups?"],
            id="in a group of keys",
        ),
        pytest.param(
            "label: Partners",
            "tenant: common",
            ["9: providers.1.tenant: unknown option, did you mean entra.tenant?"],
            id="outside its group",
        ),
        pytest.param(
            "label: Partners",
            "timeout: 0s",
            ["9: providers.1.timeout: must be more than 0"],
            id="a bound",
        ),
        pytest.param(
            "label: Partners",
            "clock_skew: long\n    scope: email\n    pkce: never",
            ["9: providers.1.clock_skew: 'long' is not a duration",
             "10: providers.1.scope: must contain openid",
             "11: providers.1.pkce: 'never' is not one of"],
            id="everything at once, also what only fits together",
        ),
        pytest.param(
            "label: Partners",
            "entra: common",
            ["9: providers.1.entra: expected options below it, indented"],
            id="a text for a group of keys",
        ),
    ],
)  # fmt: skip
def test_a_problem_in_an_entry_names_its_line_and_its_key(
    old: str, new: str, expected: list[str]
) -> None:
    found = problems_of(SEVERAL.replace(old, new))
    assert len(found) == len(expected)
    for problem, part in zip(found, expected, strict=True):
        assert part in problem
        assert problem.startswith("proxy.cfg:")


def test_an_entry_that_is_none_is_one_problem() -> None:
    text = SEVERAL.replace(
        "  - name: google\n    preset: google\n", "  - google\n  - preset: google\n"
    )
    [problem] = problems_of(text)
    assert problem.startswith("proxy.cfg:4: providers.0: expected options below it")


def test_an_entry_without_a_part_that_it_cannot_do_without_hides_no_other_problem() -> None:
    found = problems_of(f"{MINIMAL}routes:\n  - path: ${{PATH_X}}\n  - path: b\n")
    assert [problem.partition(": ")[2][:40] for problem in found] == [
        "routes.0.path: ${PATH_X} is not set",
        "routes.1.path: a path starts with one /,",
    ]


def test_a_rule_keeps_its_names_and_its_depth() -> None:
    text = """\
access:
  not: {claims: [{claim: kind, in: [robot]}]}
  any:
    - groups: {any: [staff]}
    - all:
        - networks: [10.0.0.0/8]
        - not:
            - max_age: 1h
"""
    rules = load_text(MINIMAL + text).access
    assert rules.not_[0].claims[0].in_ == ("robot",)
    assert rules.any[1].all[1].not_[0].max_age == 3600


def test_a_draft_keeps_of_an_entry_what_can_be_used() -> None:
    sources = Sources("proxy.cfg", SEVERAL.replace("playground", "${ID}"), {}, {})
    found = draft(sources, str)
    assert found.broken == {"providers.1.client_id"}
    names = [(provider.name, provider.client_id) for provider in found.settings.providers]
    assert names == [("google", "app"), ("partners", "")]


def test_entries_in_the_environment_are_located_there() -> None:
    environ = {"AUTH_PROXY_ROUTES": "[{path: /a, rule: {emial: x}}, {path: b}]"}
    found = problems_of(MINIMAL, environ)
    assert all(problem.startswith("AUTH_PROXY_ROUTES: routes.") for problem in found)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("environ", "flags"),
    [
        pytest.param({"AUTH_PROXY_ACCESS_NOT": "{emails: [a@b.example]}"}, {}, id="variable"),
        pytest.param({}, {"access.not": '[{"emails": ["a@b.example"]}]'}, id="flag"),
    ],
)
def test_rules_in_environment_and_flags(environ: dict[str, str], flags: dict[str, str]) -> None:
    [rule] = load_text(MINIMAL, environ, flags).access.not_
    assert rule.emails == ("a@b.example",)


def test_a_problem_in_the_environment_is_located_there_at_any_depth() -> None:
    found = problems_of(MINIMAL, {"AUTH_PROXY_ACCESS_NOT": "{any: [{max_age: soon}]}"})
    assert found == [
        "AUTH_PROXY_ACCESS_NOT: access.not.0.any.0.max_age: 'soon' is not a duration such as 30s, "
        "5m or 12h"
    ]


_SECRET = "zebra-in-the-zoo"
_MODELS = (Provider, Route, Rule, ClaimRule, Role)
_NAMES = sorted(
    {word for model in _MODELS for option in options(model) for word in option.path}
    | {"client_secret_file", "unknown"}
)
_LEAVES = st.sampled_from(
    ["", "x", "5", "on", "https://a.example", "none", "*", "(", _SECRET, None]
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4)
        | st.fixed_dictionaries({"client_secret": st.just(_SECRET)}, optional={"pkce": inner})
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["providers", "routes", "roles", "access", "provider", "claims"]), _TREES)
def test_whatever_is_written_is_read_or_told_and_no_secret_is_shown(key: str, tree: object) -> None:
    text = json.dumps({"public_url": "https://app.example.org", key: tree})
    found = draft(Sources("proxy.cfg", text, {}, {}), lambda path: _SECRET)
    # Where it is a secret and nothing else: as the value of a choice it is shown as a mistake.
    if text.count(_SECRET) == text.count(f'"client_secret": "{_SECRET}"') > 0:
        assert _SECRET not in "".join(found.problems)
    assert found.settings.public_url == "https://app.example.org"
