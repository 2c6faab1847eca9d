"""The claims of the identity JWT: types that libraries accept, times within the session."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Identity, Session
from proxy.rules.assertion import PROTECTED, Assertion
from tests.session.samples import HOUR, IDENTITIES, ISSUER, NOW, person, session

ALL = (
    *("email", "email_verified", "name", "preferred_username", "groups", "acr", "amr"),
    *("auth_time", "siret"),
)
ASSERTION = Assertion("https://app.example.org", "playground", 300, ALL, 100)


def claims(
    who: Session | None = None,
    *,
    audience: tuple[str, ...] = ("api",),
    now: float = NOW,
    by: Assertion = ASSERTION,
) -> dict[str, object]:
    made = by.claims_for(who or session(), audience, "j" * 22, "sid", now)
    assert made is not None
    return made


def test_the_whole_of_it() -> None:
    someone = person(
        user="jean@interieur.gouv.fr",
        preferred_username="jean",
        acr="eidas1",
        amr=("pwd", "otp"),
        auth_time=1_799_999_000,
        claims={"siret": "110", "not_asked_for": 1},
    )
    assert claims(session(identity=someone), now=NOW + 0.9) == {
        "iss": "https://app.example.org",
        "aud": "api",
        "sub": "jean@interieur.gouv.fr",
        "jti": "j" * 22,
        "sid": "sid",
        "scope": "playground",
        "iat": int(NOW),
        "exp": int(NOW) + 300,
        "idp_iss": ISSUER,
        "idp_sub": "704e",
        "email": "jean@interieur.gouv.fr",
        "email_verified": True,
        "name": "Jean DUPONT",
        "preferred_username": "jean",
        "groups": ["staff", "beta"],
        "acr": "eidas1",
        "amr": ["pwd", "otp"],
        "auth_time": 1_799_999_000,
        "siret": "110",
    }


def test_absent_facts_are_absent_claims_but_groups_are_always_a_list() -> None:
    bare = Identity(issuer=ISSUER, subject="1", user="1")
    made = claims(session(identity=bare))
    assert made["groups"] == []
    assert set(made) - {"groups"} == set(PROTECTED) - {
        "nbf",
        "idp_sub",
        "groups_truncated",
        "omitted_claims",
    }


def test_the_subject_at_the_provider_is_told_only_when_it_is_another() -> None:
    assert "idp_sub" not in claims()
    assert claims(session(identity=person(user="jean")))["idp_sub"] == "704e"


@pytest.mark.parametrize(
    ("audience", "aud"),
    [
        pytest.param(("api",), "api", id="one is a text"),
        pytest.param(("api", "chat"), ["api", "chat"], id="several are a list"),
    ],
)
def test_audience(audience: tuple[str, ...], aud: object) -> None:
    assert claims(audience=audience)["aud"] == aud


@pytest.mark.parametrize(
    ("left", "life"),
    [
        pytest.param(HOUR, 300, id="long session: the ttl"),
        pytest.param(300.0, 300, id="just as long"),
        pytest.param(120.0, 120, id="the session ends before"),
        pytest.param(1.9, 1, id="whole seconds, rounded down"),
        pytest.param(0.9, None, id="less than a second: none"),
        pytest.param(0.0, None, id="at the end: none"),
        pytest.param(-50.0, None, id="after the end: none"),
    ],
)
def test_a_jwt_never_outlives_its_session(left: float, life: int | None) -> None:
    """C4: never longer than the session, never zero or negative."""
    made = ASSERTION.claims_for(session(expires_at=NOW + left), ("api",), "j", "s", NOW)
    if life is None:
        assert made is None
    else:
        assert made is not None
        assert made["exp"] == int(NOW) + life


@pytest.mark.parametrize("name", sorted(PROTECTED))
def test_no_claim_of_the_provider_overwrites_ours(name: str) -> None:
    asking = dataclasses.replace(ASSERTION, claims=(*ALL, *PROTECTED))
    evil = person(user="me", claims={name: "evil"})
    usual = claims(session(identity=person(user="me")), by=asking)
    assert claims(session(identity=evil), by=asking) == usual


@pytest.mark.parametrize("name", ["email", "groups", "acr", "email_verified", "amr", "name"])
def test_verified_facts_come_before_raw_claims_of_the_same_name(name: str) -> None:
    """A malformed address that was refused does not come back by another door."""
    someone = Identity(issuer=ISSUER, subject="1", user="1", claims={name: "a@good@evil"})
    assert claims(session(identity=someone)).get(name) in (None, [])


def test_too_many_groups_are_cut_and_that_is_said() -> None:
    few = dataclasses.replace(ASSERTION, max_groups=2)
    made = claims(session(identity=person(groups=("a", "b", "c"))), by=few)
    assert (made["groups"], made["groups_truncated"]) == (["a", "b"], True)
    assert "groups_truncated" not in claims(by=few)


def test_groups_that_nobody_asked_for_are_not_told() -> None:
    made = claims(by=dataclasses.replace(ASSERTION, claims=("email",), max_groups=1))
    assert "groups" not in made
    assert "groups_truncated" not in made


@given(identity=IDENTITIES, now=st.floats(1, 4e9), left=st.floats(-10, 1e6))
def test_types_and_times_hold_for_everyone(identity: Identity, now: float, left: float) -> None:
    """PyJWT and python-jose refuse a sub or jti that is no text, and times that are no numbers."""
    someone = session(identity=identity, expires_at=now + left)
    made = ASSERTION.claims_for(someone, ("api",), "j", "s", now)
    if made is None:
        assert left < 1
        return
    assert all(isinstance(made[n], str) for n in ("iss", "sub", "jti", "sid", "scope", "idp_iss"))
    issued, expires = made["iat"], made["exp"]
    assert isinstance(issued, int)
    assert isinstance(expires, int)
    assert issued <= now
    assert issued < expires <= min(issued + 300, someone.expires_at)
    assert isinstance(made["groups"], list)
    json.dumps(made)


def test_the_jwt_stays_within_what_servers_take_as_a_header() -> None:
    someone = person(
        groups=tuple(f"group-{number:04}-{'x' * 30}" for number in range(500)),
        claims={"siret": ["1" * 40] * 100},
    )
    made = claims(session(identity=someone), by=dataclasses.replace(ASSERTION, max_groups=1000))
    assert made["groups_truncated"] is True
    assert made["groups"] == list(someone.groups[: len(made["groups"])])  # type: ignore[arg-type]
    assert made["omitted_claims"] == ["siret"]
    assert len(json.dumps(made)) < 5000
