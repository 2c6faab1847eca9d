"""What a hook may say of a person, and what it may not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from proxy.model import Admission, Identity
from proxy.web.hook_result import checked, is_id, public_words
from tests.session.samples import person

JEAN = person(provider="main", role="member", roles=("member", "guest"), claims={"siret": "1"})


def changed(**facts: Any) -> Identity:
    return checked(replace(JEAN, **facts), JEAN).identity


def test_nothing_said_changes_nothing() -> None:
    assert checked(None, JEAN) == Admission(JEAN)
    assert checked(JEAN, JEAN) == Admission(JEAN)
    assert checked(Admission(JEAN, 60), JEAN) == Admission(JEAN, 60.0)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"user": "42"}, {}, id="another id"),
        pytest.param({"name": "ジャン"}, {}, id="a name"),
        pytest.param({"name": ""}, {}, id="no name"),
        pytest.param({"scope": "playground admin"}, {}, id="scope"),
        pytest.param({"scope": ""}, {}, id="no scope"),
        pytest.param({"email": "Jean@Finances.Gouv.FR"}, {"email": "Jean@finances.gouv.fr".lower()},
                     id="e-mail, normalised"),
        pytest.param({"email": ""}, {}, id="no e-mail"),
        pytest.param({"email_verified": None}, {}, id="e-mail neither verified nor not"),
        pytest.param({"groups": ["a", "b", "a"]}, {"groups": ("a", "b")}, id="a list, each once"),
        pytest.param({"groups": ()}, {}, id="no groups"),
        pytest.param({"claims": {"budget": 10.5, "models": ("a",)}},
                     {"claims": {"budget": 10.5, "models": ["a"]}}, id="claims, as JSON has them"),
        pytest.param({"claims": MappingProxyType({"a": MappingProxyType({})})},
                     {"claims": {"a": {}}}, id="read-only claims"),
    ],
)  # fmt: skip
def test_what_a_hook_may_say(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(**facts) == replace(JEAN, **(facts | expected))


@pytest.mark.parametrize(
    ("facts", "role", "roles"),
    [
        pytest.param({"role": "admin"}, "admin", ("admin", "guest"), id="promoted"),
        pytest.param({"role": "guest"}, "guest", ("guest",), id="demoted: the higher one goes"),
        pytest.param({"role": ""}, "", (), id="none at all"),
        pytest.param({"roles": ("guest",)}, "guest", ("guest",), id="roles alone"),
        pytest.param({"roles": ()}, "", (), id="no roles"),
        pytest.param({"role": "b", "roles": ("a", "b")}, "b", ("b", "a"), id="both"),
        pytest.param({"role": "", "roles": ("a",)}, "", (), id="no role beside roles"),
    ],
)
def test_role_and_roles_say_the_same(
    facts: dict[str, Any], role: str, roles: tuple[str, ...]
) -> None:
    found = changed(**facts)
    assert (found.role, found.roles) == (role, roles)


NESTED: dict[str, Any] = {}
NESTED["self"] = NESTED
UNSAFE = ("a\nb", "a\x00", "\x7f", "a\u202eb", "\ud800", "x" * 1025, 7, None, b"a")


FORBIDDEN: list[tuple[str, Any]] = [
    ("issuer", "https://else.example"),
    ("subject", "somebody else"),
    ("provider", "other"),
    ("acr", "eidas3"),
    ("amr", ("mfa",)),
    ("auth_time", 1),
    ("user", ""),
    ("user", " 42"),
    ("user", "x" * 256),
    ("user", 42),
    ("email", "not an address"),
    ("email", "a@b.example, c@d.example"),
    ("email", None),
    ("email", 0),
    ("email_verified", "true"),
    ("email_verified", 1),
    ("scope", "two  spaces"),
    ("scope", 'a "quoted" one'),
    ("groups", "admins"),
    ("groups", ("",)),
    ("groups", {"admins"}),
    ("groups", tuple(map(str, range(1001)))),
    ("roles", (7,)),
    ("claims", None),
    ("claims", {1: "a"}),
    ("claims", {"a": object()}),
    ("claims", {"a": math.nan}),
    ("claims", NESTED),
    ("claims", {"a": "x" * 17_000}),
    *((name, text) for name in ("user", "name", "picture", "role", "scope") for text in UNSAFE),
    *(("groups", (text,)) for text in UNSAFE),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, value, id=f"{name}: {ascii(value)[:30]}") for name, value in FORBIDDEN],
)
def test_what_a_hook_must_not_say(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"\b{name}\b") as refused:
        changed(**{name: value})
    assert "else" not in str(refused.value), "no value is quoted"


def test_a_role_beside_other_roles_is_one_of_them() -> None:
    with pytest.raises(ValueError, match="role"):
        changed(role="admin", roles=("member",))


@pytest.mark.parametrize("result", ["jean", True, {"role": "admin"}, (JEAN, 60), Admission("jean")])  # type: ignore[arg-type]
def test_what_is_no_answer(result: object) -> None:
    with pytest.raises(ValueError, match="returned"):
        checked(result, JEAN)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, True, "60"])
def test_a_session_is_shortened_by_a_time(seconds: Any) -> None:
    with pytest.raises(ValueError, match="max_age"):
        checked(Admission(JEAN, seconds), JEAN)


def test_the_result_is_a_copy() -> None:
    claims: dict[str, Any] = {"models": ["a"]}
    found = checked(replace(JEAN, claims=claims), JEAN).identity
    claims["models"].append("b")
    assert found.claims == {"models": ["a"]}
    assert isinstance(found.claims, Mapping)
    with pytest.raises(TypeError):
        found.claims["models"] = []  # type: ignore[index]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("Ask your team.", "Ask your team.", id="as it is"),
        pytest.param(" a\r\nb\u202e ", "a  b", id="in one line"),
        pytest.param("x" * 400, "x" * 300, id="cut"),
        pytest.param("<b>", "<b>", id="pages escape it"),
        pytest.param(None, "", id="none"),
        pytest.param(7, "", id="no text"),
    ],
)
def test_words_that_pages_may_show(said: object, shown: str) -> None:
    assert public_words(said) == shown


@pytest.mark.parametrize(
    ("test", "values"),
    [
        pytest.param(True.__eq__, ["1", "x" * 255, "é", "a b"], id="good"),
        pytest.param(False.__eq__, ["", "x" * 256, " a", "a ", "a\n", 1, None], id="bad"),
    ],
)
def test_ids(test: Callable[[bool], bool], values: list[object]) -> None:
    assert all(test(is_id(value)) for value in values)
