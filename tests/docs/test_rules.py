"""docs/rules.md: each table below an example is asked of the example's rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from proxy.config.access import Rule
from proxy.errors import Reason
from proxy.model import Kind, Target
from proxy.rules.gate import Forward, Refuse, StrengthenLogin, decide
from proxy.rules.routes import compile_routes
from tests.docs.pages import ROOT
from tests.docs.test_configs import completed, read
from tests.session.samples import NOW, person, session

PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
_EXAMPLE = re.compile(
    r"```yaml\n(?P<config>.*?)```\n(?P<after>.*?)(?=```yaml|^## |\Z)", re.S | re.M
)
_OTHERS = {"tenant_not_allowed", "method_not_allowed", "token_not_allowed"}  # not by a rule
_ROW = re.compile(r"^\| `(\{.*\})` \| `([^`]+)` \| (.+) \|$", re.M)


class Testers:
    def addresses(self, path: str) -> frozenset[str]:
        assert path == "/etc/auth-proxy/testers"
        return frozenset({"ann@example.org"})

    def are_all(self, path: str) -> bool:
        return True


def rows() -> Iterator[Any]:
    for example in _EXAMPLE.finditer(PAGE):
        for who, request, answer in _ROW.findall(example["after"]):
            yield pytest.param(example["config"], who, request, answer, id=f"{who} {request}")


def answered(config: str, who: str, request: str) -> str:
    """What the page says of it: allowed, a reason, or the sign-in that is asked for."""
    routes = compile_routes(read(completed(config)), {}, "/oauth2/static/", Testers())
    facts = {"email": "", "groups": [], **yaml.safe_load(who)}
    if "age" in facts:
        facts["auth_time"] = int(NOW) - facts.pop("age")
    known = {name: tuple(v) if isinstance(v, list) else v for name, v in facts.items()}
    asked = re.fullmatch(r"([A-Z]+) (\S+)(?: from (\S+))?", request)
    assert asked is not None
    method, path, client = asked.groups("192.0.2.77")
    route = routes.match(path, method)
    assert route is not None
    kind = Kind.NAVIGATION if method == "GET" else Kind.PROGRAM
    target = Target(method, "https", "app.example.org", path, path, "", kind, client)
    match decide(route, session(identity=person(**known)), target, NOW):
        case Forward():
            return "allowed"
        case Refuse(reason=reason):
            return f"`{reason}`"
        case StrengthenLogin(step_up=step_up):
            anew = " anew" if step_up.max_age is not None else ""
            classes = " or ".join(step_up.acr_values)
            return f"sign in{anew}{' with ' if classes else ''}{classes}"
        case verdict:
            raise AssertionError(verdict)


@pytest.mark.parametrize(("config", "who", "request_", "answer"), list(rows()))
def test_the_rules_answer_as_the_page_says(
    config: str, who: str, request_: str, answer: str
) -> None:
    assert answered(config, who, request_) == answer


def test_every_example_has_its_table() -> None:
    examples = list(_EXAMPLE.finditer(PAGE))
    assert len(examples) == 5
    assert all(_ROW.search(example["after"]) for example in examples)


def test_every_kind_of_condition_has_its_row() -> None:
    table = PAGE.partition("## Every kind of condition")[2].partition("\nTwo more")[0]
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.M))))
    options = {field.removesuffix("_") for field in Rule.model_fields} - {"name", "remedy"}
    assert named == options


def test_every_reason_of_a_rule_is_on_the_page() -> None:
    reasons = {str(r) for r in Reason if re.search(r"_not_(allowed|met|permitted)$", r)}
    reasons |= {"email_missing", "sign_in_too_old"}
    assert {r for r in reasons - _OTHERS if f"`{r}`" not in PAGE} == set()
