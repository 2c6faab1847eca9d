"""What a sign-in brought shows nobody's data."""

from __future__ import annotations

from proxy.oidc.told import Told
from proxy.oidc.userinfo import Userinfo


def test_claims_and_groups_are_not_shown() -> None:
    private = {"sub": "me", "email": "jean@example.org"}
    told = Told(
        "https://a.org", private, Userinfo(private), private, ("jean's",), notes=("a note",)
    )
    assert "jean" not in repr(told)
    assert "https://a.org" in repr(told)


def test_an_id_token_is_enough() -> None:
    told = Told("https://a.org", {"sub": "me"})
    assert (told.userinfo, told.access_token, told.groups, told.notes) == (None, {}, None, ())
