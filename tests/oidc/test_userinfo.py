"""Which userinfo answers are believed, beyond test_strict.py, and what they may say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import pytest

from proxy.errors import LoginError, Reason
from proxy.oidc.userinfo import Userinfo, merge, read_userinfo
from tests.crypto.forge import rsa_key, token
from tests.oidc.scene import CLIENT, ISSUER, METADATA, NOW, SECRET, keys, provider

PERSON: dict[str, object] = {"sub": "me", "email": "Jean@Example.org", "roles": ["a"]}
SIGNED: dict[str, object] = {**PERSON, "iss": ISSUER, "aud": CLIENT}
JSON, JWT = "application/json", "application/jwt"


def _jwt(changes: Mapping[str, object] | None = None, **header: object) -> bytes:
    return token({**SIGNED, **(changes or {})}, rsa_key(), "RS256", **header).encode()


def _read(
    body: bytes, content_type: str = JSON, status: int = 200, wanted: str = "auto"
) -> Userinfo:
    return read_userinfo(
        status,
        content_type,
        body,
        keys=keys(),
        provider=provider(userinfo_format=wanted),
        metadata=METADATA,
        subject="me",
        now=NOW,
    )


PLAIN = json.dumps(PERSON).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "wanted"),
    [
        pytest.param(PLAIN, JSON, "auto", id="JSON"),
        pytest.param(b"\n" + PLAIN + b"\n", JSON, "json", id="JSON where JSON is wanted"),
        pytest.param(PLAIN, "Application/JSON; charset=utf-8", "auto", id="type with a charset"),
        pytest.param(PLAIN, "", "auto", id="JSON without a type"),
    ],
)
def test_reads_json(body: bytes, content_type: str, wanted: str) -> None:
    assert _read(body, content_type, wanted=wanted) == Userinfo(PERSON)


@pytest.mark.parametrize(
    ("content_type", "wanted", "changes"),
    [
        pytest.param(JWT, "auto", {}, id="JWT"),
        pytest.param("application/JWT;charset=UTF-8", "jwt", {}, id="JWT where JWT is wanted"),
        pytest.param(JSON, "auto", {}, id="JWT announced as JSON"),
        pytest.param(JWT, "auto", {"aud": [CLIENT]}, id="aud as a list"),
        pytest.param(JWT, "auto", {"exp": NOW + 60, "iat": NOW}, id="with times"),
    ],
)
def test_reads_a_signed_jwt(content_type: str, wanted: str, changes: dict[str, object]) -> None:
    told = _read(_jwt(changes), content_type, wanted=wanted)
    assert told == Userinfo({**SIGNED, **changes})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(500, PLAIN, id="500"),
        pytest.param(401, b"", id="401"),
        pytest.param(302, b"", id="redirect"),
        pytest.param(200, b"", id="empty"),
        pytest.param(200, b" \n", id="blank"),
        pytest.param(200, b"null", id="null"),
        pytest.param(200, b"{}", id="empty object"),
        pytest.param(200, b"[]", id="list"),
        pytest.param(200, b'"me"', id="text"),
        pytest.param(200, b"<html></html>", id="HTML"),
        pytest.param(200, b'{"sub":"me","sub":"me"}', id="a member twice"),
        pytest.param(200, b'{"sub":"me\xff"}', id="not UTF-8"),
    ],
)
def test_an_answer_that_says_nothing_is_a_problem_to_make_up_for(status: int, body: bytes) -> None:
    told = _read(body, status=status)
    assert not told.claims
    assert told.problem


@pytest.mark.parametrize(
    ("body", "content_type", "wanted"),
    [
        pytest.param(PLAIN, JWT, "auto", id="JSON announced as a JWT"),
        pytest.param(_jwt(), JWT, "json", id="JWT where JSON is wanted"),
        pytest.param(
            token(SIGNED, SECRET.encode(), "HS256").encode(), JWT, "auto", id="HS256 not configured"
        ),
        pytest.param(
            token(SIGNED, rsa_key("thief"), "RS256", kid="rsa").encode(), JWT, "auto", id="forged"
        ),
        pytest.param(_jwt({"iss": None}), JWT, "auto", id="iss null"),
        pytest.param(_jwt({"aud": None}), JWT, "auto", id="aud null"),
        pytest.param(_jwt({"iat": NOW + 61}), JWT, "auto", id="from the future"),
        pytest.param(_jwt(typ="logout+jwt"), JWT, "auto", id="another kind of token"),
        pytest.param(_jwt() + b".AA.AA", JWT, "auto", id="encrypted"),
    ],
)
def test_an_answer_that_cannot_be_believed_is_refused(
    body: bytes, content_type: str, wanted: str
) -> None:
    with pytest.raises(LoginError) as error:
        _read(body, content_type, wanted=wanted)
    assert error.value.reason is Reason.USERINFO_INVALID


def test_a_sub_is_compared_to_the_letter() -> None:
    with pytest.raises(LoginError) as error:
        _read(json.dumps({**PERSON, "sub": "Me"}).encode())
    assert error.value.reason is Reason.USERINFO_SUBJECT_MISMATCH


def test_userinfo_does_not_show_its_claims() -> None:
    assert "Jean" not in repr(Userinfo(PERSON))


ID: dict[str, object] = {"iss": ISSUER, "sub": "me", "aud": CLIENT, "exp": 1, "acr": "eidas1"}
NAMED = {**ID, "email": "old@example.org", "name": "Jean"}
FAILED = Userinfo(problem="status 500")
Source = Literal["merge", "userinfo", "id_token"]


@pytest.mark.parametrize(
    ("source", "own", "told", "expected"),
    [
        pytest.param(
            "merge",
            NAMED,
            Userinfo({"sub": "me", "email": "new@example.org"}),
            {**NAMED, "email": "new@example.org"},
            id="userinfo wins",
        ),
        pytest.param("merge", NAMED, FAILED, NAMED, id="ID token makes up for a failed userinfo"),
        pytest.param("merge", ID, None, ID, id="userinfo was not asked"),
        pytest.param("merge", ID, Userinfo({"sub": "me"}), ID, id="userinfo knows no more"),
        pytest.param(
            "userinfo",
            NAMED,
            Userinfo({"sub": "me", "email": "new@example.org"}),
            {**ID, "email": "new@example.org"},
            id="userinfo alone",
        ),
        pytest.param(
            "id_token", NAMED, Userinfo({"sub": "me", "x": 1}), NAMED, id="ID token alone"
        ),
        pytest.param("id_token", ID, FAILED, ID, id="ID token alone, userinfo failed"),
    ],
)
def test_merge(
    source: Source, own: dict[str, object], told: Userinfo | None, expected: dict[str, object]
) -> None:
    assert merge(own, told, source) == expected


@pytest.mark.parametrize(
    "name",
    [
        "iss",
        "aud",
        "exp",
        "iat",
        "nonce",
        "sub",
        "acr",
        "amr",
        "auth_time",
        "sid",
        "azp",
        "at_hash",
    ],
)
@pytest.mark.parametrize("source", ["merge", "userinfo"])
def test_facts_of_the_sign_in_are_the_id_token_s(source: Source, name: str) -> None:
    told = Userinfo({"sub": "me", "x": 1, name: "userinfo's"})
    assert merge({**ID, name: "ours"}, told, source)[name] == "ours"
    without = {k: v for k, v in ID.items() if k != name}
    assert name not in merge(without, told, source)


@pytest.mark.parametrize("name", ["access_token", "id_token", "refresh_token"])
def test_tokens_never_become_claims(name: str) -> None:
    assert name not in merge({**NAMED, name: "x"}, Userinfo({"sub": "me", name: "y"}), "merge")


@pytest.mark.parametrize(
    ("source", "own", "told"),
    [
        pytest.param("userinfo", NAMED, FAILED, id="userinfo alone is wanted and failed"),
        pytest.param("userinfo", NAMED, None, id="userinfo alone is wanted and was not asked"),
        pytest.param("merge", ID, FAILED, id="userinfo failed, ID token names nobody"),
        pytest.param("id_token", {}, None, id="no claims at all"),
    ],
)
def test_no_claims(source: Source, own: dict[str, object], told: Userinfo | None) -> None:
    with pytest.raises(LoginError) as error:
        merge(own, told, source)
    assert (error.value.reason, error.value.status) == (Reason.NO_CLAIMS, 502)


@pytest.mark.parametrize(
    ("own", "told", "expected"),
    [
        pytest.param({"email": "a", "email_verified": True}, {"email": "b"}, None, id="another's"),
        pytest.param({"email": "a", "email_verified": True}, {"email": "a"}, True, id="the same"),
        pytest.param(
            {"email": "a"}, {"email_verified": True}, None, id="a flag without its address"
        ),
        pytest.param(
            {"email": "a", "email_verified": True}, {"email_verified": False}, False, id="a no"
        ),
        pytest.param(
            {"email": "a", "email_verified": False},
            {"email": "b", "email_verified": True},
            True,
            id="its own flag",
        ),
    ],
)
def test_a_verified_flag_speaks_of_its_own_address_only(
    own: dict[str, object], told: dict[str, object], expected: bool | None
) -> None:
    merged = merge({"sub": "x", **own}, Userinfo({"sub": "x", **told}), "merge")
    assert merged.get("email_verified") is expected
