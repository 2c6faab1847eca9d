"""What may be chosen for a token: nothing that a person does not have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.programs import Tokens
from proxy.web.token_form import Choices, Wish
from tests.session.samples import person

DAY = 86_400.0
CHOICES = Choices(("staff", "beta"), ("read", "write"), 90 * DAY)
GOOD = {"name": "laptop", "expires": "30d", "groups": "all", "scopes": "all"}


def read(*more: tuple[str, str], **changes: str) -> Wish | str:
    fields = [(name, value) for name, value in (GOOD | changes).items() if value != "absent"]
    return CHOICES.read([*fields, *more])


def test_all_of_everything() -> None:
    assert read() == Wish("laptop", 30 * DAY, None, ())


def test_some_of_it() -> None:
    more = [("group", "beta"), ("scope", "write"), ("scope", "read"), ("group", "beta")]
    found = read(*more, groups="chosen", scopes="chosen", name="  ci é ", expires="12h")
    assert found == Wish("ci é", 43_200, ("beta",), ("read", "write"))


@pytest.mark.parametrize(
    ("more", "changes", "mistake"),
    [
        pytest.param([], {"name": ""}, "name", id="no name"),
        pytest.param([], {"name": "   "}, "name", id="blanks"),
        pytest.param([], {"name": "a" * 61}, "name", id="long"),
        pytest.param([], {"name": "a\nb"}, "name", id="two lines"),
        pytest.param([], {"name": "a\u202eb"}, "name", id="turned around"),
        pytest.param([("name", "b")], {}, "name", id="two names"),
        pytest.param([], {"expires": "absent"}, "expires", id="no end"),
        pytest.param([], {"expires": "never"}, "expires", id="never"),
        pytest.param([], {"expires": "0"}, "expires", id="at once"),
        pytest.param([], {"expires": "59s"}, "expires", id="too soon"),
        pytest.param([], {"expires": "91d"}, "expires", id="too late"),
        pytest.param([], {"expires": "-1d"}, "expires", id="in the past"),
        pytest.param([("expires", "1d")], {}, "expires", id="two ends"),
        pytest.param([], {"groups": "absent"}, "groups", id="nothing said"),
        pytest.param([], {"groups": ""}, "groups", id="nothing"),
        pytest.param([], {"groups": "chosen"}, "groups", id="chosen, and none named"),
        pytest.param([("group", "beta")], {}, "groups", id="all, and some named"),
        pytest.param(
            [("group", "beta"), ("group", "root")], {"groups": "chosen"}, "groups", id="another's"
        ),
        pytest.param([("groups", "all")], {"groups": "chosen"}, "groups", id="both"),
        pytest.param([], {"scopes": "absent"}, "scopes", id="nothing said of scopes"),
        pytest.param([("scope", "admin")], {"scopes": "chosen"}, "scopes", id="a higher scope"),
    ],
)
def test_what_cannot_be_used(
    more: list[tuple[str, str]], changes: dict[str, str], mistake: str
) -> None:
    assert read(*more, **changes) == mistake


FIELDS = st.sampled_from(("name", "expires", "groups", "group", "scopes", "scope"))
VALUES = st.sampled_from(
    ("all", "chosen", "staff", "beta", "root", "read", "30d", "9999d", "", "x")
)


@given(st.lists(st.tuples(FIELDS, VALUES), max_size=12))
def test_nobody_gets_what_they_do_not_have(fields: list[tuple[str, str]]) -> None:
    found = CHOICES.read(fields)
    if isinstance(found, Wish):
        assert found.groups is None or {*found.groups} <= {"staff", "beta"}
        assert {*found.scopes} <= {"read", "write"}
        assert found.lifetime <= CHOICES.longest
        assert (found.groups is None) == (("groups", "all") in fields)


@pytest.mark.parametrize(
    ("tokens", "person_scope", "expected"),
    [
        pytest.param(Tokens(), "", ("api", "read"), id="of the settings' JWT"),
        pytest.param(Tokens(), "hooked", ("hooked",), id="that a hook gave"),
        pytest.param(Tokens(scopes=("x", "y")), "", ("x", "y"), id="listed"),
    ],
)
def test_which_scopes_there_are(
    tokens: Tokens, person_scope: str, expected: tuple[str, ...]
) -> None:
    choices = Choices.of(person(scope=person_scope), tokens, "api read api")
    assert choices.scopes == expected
    assert choices.groups == ("staff", "beta")


@pytest.mark.parametrize(
    ("longest", "offered", "usual"),
    [
        pytest.param(90 * DAY, ["1d", "7d", "30d", "90d"], "30d", id="as usual"),
        pytest.param(30 * DAY, ["1d", "7d", "30d"], "30d", id="a month"),
        pytest.param(10 * DAY, ["1d", "7d", "10d"], "10d", id="ten days"),
        pytest.param(5400.0, ["90m"], "90m", id="less than a day"),
        pytest.param(
            400 * DAY, ["1d", "7d", "30d", "90d", "365d", "400d"], "30d", id="more than a year"
        ),
    ],
)
def test_the_lifetimes_that_are_offered(longest: float, offered: list[str], usual: str) -> None:
    choices = Choices((), (), longest)
    found = choices.lifetimes()
    assert [each.text for each in found] == offered
    assert [each.text for each in found if each.is_usual] == [usual]
    for each in found:
        form = [("name", "n"), ("expires", each.text), ("groups", "all"), ("scopes", "all")]
        assert isinstance(choices.read(form), Wish)
