"""Which claim is what, and which roles there are, as they are declared."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.person import Claims, Role
from tests.config.configurations import MINIMAL, load_text, problems_of


def test_claims_are_those_of_openid_connect() -> None:
    claims = Claims()
    assert (claims.user, claims.email, claims.name) == ("sub", "email", ("name",))
    assert (claims.first_name, claims.last_name) == ("given_name", "family_name")
    assert (claims.groups, claims.roles, claims.from_access_token) == (
        ("groups",),
        ("role",),
        False,
    )


def test_nobody_is_known_by_an_address_unless_that_is_said() -> None:
    assert Claims().user_fallback == ""
    [problem] = problems_of(MINIMAL, flags={"claims.user_fallback": "name"})
    assert "claims.user_fallback: 'name' is not one of" in problem


def test_roles_keep_their_order() -> None:
    text = f"{MINIMAL}roles:\n  - {{name: admin, groups: admins}}\n  - {{name: user}}\n"
    assert [(role.name, role.groups) for role in load_text(text).roles] == [
        ("admin", ("admins",)),
        ("user", ()),
    ]


@pytest.mark.parametrize("role", [{}, {"name": ""}, {"name": "a", "group": ["b"]}])
def test_a_role_has_a_name_and_known_parts(role: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Role.model_validate(role)
