"""Which claims a scope releases."""

from __future__ import annotations

import pytest

from proxy.demo.people import ALICE, BOB, MALLORY, SCOPES, Client, User, claims_of


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        pytest.param(["openid"], {"sub"}, id="openid gives sub only"),
        pytest.param(["openid", "email"], {"sub", "email", "email_verified"}, id="email"),
        pytest.param(
            ["openid", "profile"],
            {"sub", "name", "given_name", "family_name", "preferred_username"},
            id="profile",
        ),
        pytest.param(["openid", "groups"], {"sub", "groups"}, id="groups"),
        pytest.param(["openid", "unheard_of"], {"sub"}, id="an unknown scope gives nothing"),
    ],
)
def test_scopes_release_their_claims(scopes: list[str], expected: set[str]) -> None:
    assert set(claims_of(ALICE, scopes, SCOPES)) == expected


def test_extra_claims_follow_the_catalogue() -> None:
    user = User("u", "sub-u", "U", "U", "U", "u@example.org", extra={"siret": "1"})
    assert claims_of(user, ["siret"], {"siret": ("siret",)}) == {"sub": "sub-u", "siret": "1"}


def test_alice_and_bob_are_who_the_readme_says() -> None:
    assert (ALICE.email, ALICE.groups) == ("alice@example.org", ("admins", "dev"))
    assert (BOB.email, BOB.groups) == ("bob@example.org", ("dev",))
    assert not MALLORY.listed


def test_a_client_without_a_secret_is_public() -> None:
    assert Client("spa", "", ()).public
    assert not Client("web", "s", ()).public
