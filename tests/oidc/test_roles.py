"""Which role a person has: the table first, then what is claimed, the default last."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.person import Role
from proxy.oidc.roles import RoleTable, quoted

ISSUER = "https://idp.example.org"
ADMIN = Role(
    name="Admin",
    groups=("admins", "root"),
    emails=("Boss@Example.org",),
    subjects=("s-1", f"{ISSUER}#s-2"),
)
EDITOR = Role(name="editor", groups=("editors",))
VIEWER = Role(name="viewer", groups=("viewers",))
TABLE = (ADMIN, EDITOR, VIEWER)


def _of(
    table: Sequence[Role] = TABLE,
    default: str = "",
    *,
    claimed: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    email: str = "",
    verified: bool | None = None,
    subject: str = "me",
    issuer: str = ISSUER,
) -> tuple[str, tuple[str, ...], str]:
    compiled = RoleTable.compile(table, default)
    return compiled.roles_of(claimed, groups, email, verified, subject, issuer)


@pytest.mark.parametrize(
    ("groups", "role", "roles"),
    [
        pytest.param(("viewers",), "viewer", ("viewer",), id="one"),
        pytest.param(("viewers", "admins"), "Admin", ("Admin", "viewer"), id="the highest wins"),
        pytest.param(("admins", "viewers"), "Admin", ("Admin", "viewer"), id="in any order"),
        pytest.param(("root", "admins"), "Admin", ("Admin",), id="two groups of one role"),
        pytest.param(("Viewers",), "none", ("none",), id="a group is taken to the letter"),
        pytest.param(("viewers ",), "none", ("none",), id="and to the space"),
        pytest.param(("others",), "none", ("none",), id="another group: the default"),
        pytest.param((), "none", ("none",), id="no group: the default"),
    ],
)
def test_r070_groups(groups: tuple[str, ...], role: str, roles: tuple[str, ...]) -> None:
    assert _of(default="none", groups=groups)[:2] == (role, roles)


@pytest.mark.parametrize(
    ("claimed", "role", "roles"),
    [
        pytest.param(("viewer",), "viewer", ("viewer",), id="one"),
        pytest.param(("VIEWER",), "viewer", ("viewer",), id="case does not matter"),
        pytest.param(("admin",), "Admin", ("Admin",), id="the table's spelling counts"),
        pytest.param(("viewer", "editor"), "editor", ("editor", "viewer"), id="a list: highest"),
        pytest.param(("x", "viewer"), "viewer", ("viewer",), id="an unknown one is ignored"),
        pytest.param(("x",), "none", ("none",), id="unknown alone: the default"),
        pytest.param(("v\u0131ewer",), "none", ("none",), id="no letter is made an ASCII one"),
        pytest.param(("viewer ",), "none", ("none",), id="a space is no part of it"),
    ],
)
def test_r073_claimed_roles(claimed: tuple[str, ...], role: str, roles: tuple[str, ...]) -> None:
    assert _of(default="none", claimed=claimed)[:2] == (role, roles)


def test_case_does_not_reach_beyond_ascii() -> None:
    """str.lower makes the Kelvin sign a k."""
    assert _of([Role(name="keeper")], claimed=("\u212aeeper",))[0] == ""


def test_r072_the_table_before_the_claim_and_the_default_last() -> None:
    assert _of(default="none", groups=("viewers",), claimed=("Admin",))[0] == "viewer"
    assert _of(default="none", claimed=("editor",))[0] == "editor"
    assert _of(default="none")[:2] == ("none", ("none",))
    assert _of()[:2] == ("", ())


@pytest.mark.parametrize(
    ("who", "role"),
    [
        pytest.param({"email": "boss@example.org", "verified": True}, "Admin", id="verified"),
        pytest.param({"email": "boss@example.org", "verified": None}, "", id="nobody says so"),
        pytest.param({"email": "boss@example.org", "verified": False}, "", id="unverified"),
        pytest.param({"email": "", "verified": True}, "", id="no address"),
        pytest.param({"email": "xboss@example.org", "verified": True}, "", id="another address"),
        pytest.param({"subject": "s-1"}, "Admin", id="a sub, of whatever issuer"),
        pytest.param({"subject": "S-1"}, "", id="a sub in another case"),
        pytest.param({"subject": "s-2"}, "Admin", id="issuer#sub"),
        pytest.param({"subject": "s-2", "issuer": "https://evil"}, "", id="another issuer's"),
        pytest.param(
            {"subject": f"{ISSUER}#s-2", "issuer": "https://evil"}, "", id="a sub made to look so"
        ),
        pytest.param({"subject": ""}, "", id="no sub"),
    ],
)
def test_r076_people(who: dict[str, object], role: str) -> None:
    assert _of(**who)[0] == role  # type: ignore[arg-type]


def test_a_sub_may_hold_a_mark_or_be_a_url() -> None:
    assert _of([Role(name="a", subjects=("x#y",))], subject="x#y")[0] == "a"
    assert _of([Role(name="a", subjects=("https://me/7",))], subject="https://me/7")[0] == "a"


def test_people_are_promoted_over_their_groups() -> None:
    assert _of(subject="s-1", groups=("viewers",))[:2] == ("Admin", ("Admin", "viewer"))


def test_an_entry_that_is_no_address_is_nobody_s() -> None:
    assert _of([Role(name="a", emails=("a@b@c",))], verified=True)[0] == ""


@pytest.mark.parametrize(
    ("claimed", "default", "role", "roles"),
    [
        pytest.param(("a",), "d", "a", ("a",), id="the only one"),
        pytest.param(("b", "a"), "d", "", ("b", "a"), id="several, which nothing orders"),
        pytest.param((), "d", "d", ("d",), id="none: the default"),
        pytest.param((), "", "", (), id="none at all"),
    ],
)
def test_without_a_table(
    claimed: tuple[str, ...], default: str, role: str, roles: tuple[str, ...]
) -> None:
    assert _of((), default, claimed=claimed)[:2] == (role, roles)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param({"groups": ("root",)}, "group 'root'", id="group"),
        pytest.param({"email": "boss@example.org", "verified": True}, "roles.emails", id="email"),
        pytest.param({"subject": "s-1"}, "roles.subjects", id="subject"),
        pytest.param({"claimed": ("viewer",)}, "role claim", id="claim"),
        pytest.param({"default": "d"}, "default_role", id="default"),
        pytest.param({}, "nothing gives one", id="nothing"),
    ],
)
def test_why(given: dict[str, object], why: str) -> None:
    assert _of(**given)[2] == why  # type: ignore[arg-type]


def test_unknown_roles() -> None:
    assert RoleTable.compile(TABLE).unknown(("ADMIN", "x", "viewer")) == ("x",)
    assert RoleTable.compile(()).unknown(("x",)) == ()


def test_quoted_words_are_short_and_ascii() -> None:
    assert quoted("é\n" * 100).isascii()
    assert len(quoted("x" * 500)) == 80


_NAMES = st.sampled_from(["admins", "root", "editors", "viewers", "x", ""])


@given(st.lists(_NAMES, max_size=6))
def test_the_order_of_groups_does_not_matter(groups: list[str]) -> None:
    role, roles, _ = _of(default="none", groups=tuple(groups))
    assert (role, roles) == _of(default="none", groups=tuple(sorted(groups)))[:2]
    assert roles[0] == role


def test_a_role_may_be_of_some_providers_alone() -> None:
    """Whatever gives it: a group, an id or a claim of another provider's is only a name."""
    role = Role(name="admin", groups=("admins",), subjects=("me",), providers=("staff",))
    table = RoleTable.compile((role,), "none")
    given: tuple[tuple[str, ...], tuple[str, ...]] = (("admin",), ("admins",))
    for provider, expected in (("staff", "admin"), ("guests", "none"), ("", "none")):
        assert table.roles_of(*given, "", None, "me", ISSUER, provider)[0] == expected
        assert table.roles_of(("admin",), (), "", None, "x", ISSUER, provider)[0] == expected
