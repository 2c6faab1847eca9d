"""Who is asking: the forward-auth endpoint, userinfo and identity."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from proxy.web.auth import constraints
from tests.fakes.upstream import verified_identity
from tests.web.place import PUBLIC, Place

AUTH, USERINFO, IDENTITY = "/oauth2/auth", "/oauth2/userinfo", "/oauth2/identity"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


async def test_without_a_session_every_method_gets_401(place: Place) -> None:
    for path in (AUTH, USERINFO, IDENTITY):
        for page in (True, False):
            answer = await place.browser().get(path, page=page)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"]
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.set_cookies == []
            assert not any(name.lower().startswith("x-auth-request") for name in answer.headers)
            assert "X-Forwarded-Identity" not in answer.headers
    for method in ("POST", "DELETE", "PROPFIND"):
        assert (await place.browser().request(method, AUTH)).status == 401


async def test_the_forward_auth_answer_names_the_person(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    for method in ("GET", "POST", "PUT", "HEAD"):
        answer = await browser.request(method, AUTH, headers={"X-Auth-Request-User": "forged"})
        assert (answer.status, answer.body) == (202, b"")
        assert answer.headers.getall("X-Auth-Request-User") == ["alice-5f0c3b1e"]
        assert answer.headers["X-Auth-Request-Email"] == "alice@example.org"
        assert answer.headers["X-Auth-Request-Preferred-Username"] == "alice"
        assert answer.headers["X-Auth-Request-Groups"] == "admins,dev"
        assert "X-Auth-Request-Access-Token" not in answer.headers
    token = answer.headers["X-Forwarded-Identity"]
    claims = verified_identity(token, await place.jwks(), PUBLIC, "api", place.clock())
    assert claims["sub"] == "alice-5f0c3b1e"


async def test_the_access_token_comes_only_where_it_is_wanted() -> None:
    async with Place(headers={"access_token": True}) as place:
        browser = place.browser()
        await browser.sign_in()
        token = (await browser.get(AUTH)).headers["X-Auth-Request-Access-Token"]
        sent = place.provider.last("userinfo").headers["Authorization"]
        assert sent == f"Bearer {token}"
        for path in (USERINFO, IDENTITY):
            assert token not in (await browser.get(path)).text


CONSTRAINTS = {
    "": 202,
    "allowed_groups=admins": 202,
    "allowed_groups=staff": 403,
    "allowed_groups=staff,admins": 202,
    "allowed_groups=staff&allowed_groups=dev": 202,
    "allowed_groups=Admins": 403,
    "allowed_groups=": 403,
    "allowed_groups": 403,
    "allowed_groups=,": 403,
    "allowed_emails=alice@example.org": 202,
    "allowed_emails=Alice@Example.org": 202,
    "allowed_emails=bob@example.org": 403,
    "allowed_emails=": 403,
    "allowed_email_domains=example.org": 202,
    "allowed_email_domains=.example.org": 403,
    "allowed_email_domains=ple.org": 403,
    "allowed_email_domains=*": 202,
    "allowed_email_domains=": 403,
    "allowed_email_domains=%00": 403,
    "allowed_email_domains=.": 403,
    "allowed_email_domains=%ff..%ff": 403,
    "allowed_groups=admins&allowed_emails=bob@example.org": 403,
    "allowed_groups=admins&allowed_emails=alice@example.org": 202,
    "rd=/x&other=1": 202,
}


async def test_the_query_narrows_and_never_widens(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    for query, status in CONSTRAINTS.items():
        assert (await browser.get(f"{AUTH}?{query}")).status == status, query
    await place.start_proxy(access={"groups": {"any": ["staff"]}})
    for query in CONSTRAINTS:
        answer = await browser.get(f"{AUTH}?{query}", page=False)
        assert answer.status == 403, query
        assert "X-Auth-Request-User" not in answer.headers


def test_a_person_without_groups_or_address_meets_no_constraint() -> None:
    assert constraints([("allowed_groups", "a"), ("other", "b"), ("allowed_emails", "")]) != []
    assert constraints([("other", "b")]) == []


async def test_who_is_denied_later_gets_403_and_a_line(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    await place.start_proxy(access={"email_domains": ["elsewhere.example"]})
    for path in (AUTH, USERINFO, IDENTITY, "/"):
        answer = await browser.get(path, page=False)
        assert answer.status == 403
        assert json.loads(answer.body)["error"] == "email_not_allowed"
        assert "alice" not in answer.text
    assert len(place.audited("denied")) == 4
    assert place.upstream.seen == []


async def test_userinfo_is_the_person_and_no_token(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    answer = await browser.get(USERINFO, page=False)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(answer.body) == {
        "user": "alice-5f0c3b1e",
        "email": "alice@example.org",
        "name": "Alice Martin",
        "preferredUsername": "alice",
        "groups": ["admins", "dev"],
        "role": None,
        "provider": "default",
        "sub": "alice-5f0c3b1e",
        "iss": place.provider.issuer,
        "expires_at": int(place.clock()) + 12 * 3600,
    }
    assert not [secret for secret in place.secrets() if secret in answer.text]


async def test_identity_is_a_fresh_jwt_that_upstreams_can_verify(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    document = json.loads((await browser.get(IDENTITY, page=False)).body)
    assert set(document) == {"token", "token_type", "expires_at"}
    claims = verified_identity(document["token"], await place.jwks(), PUBLIC, "api", place.clock())
    assert claims["exp"] == document["expires_at"]
    again = json.loads((await browser.get(IDENTITY, page=False)).body)
    assert again == document
    place.clock.advance(1801)
    later = json.loads((await browser.get(IDENTITY, page=False)).body)
    newer = verified_identity(later["token"], await place.jwks(), PUBLIC, "api", place.clock())
    assert newer["jti"] != claims["jti"]
    assert newer["sid"] == claims["sid"]


async def test_headers_hold_what_a_header_can_hold() -> None:
    async with Place() as place:
        odd = {"preferred_username": "Ælíce 中", "groups": ["a,b", "c", "é"]}
        place.provider.behaviour.userinfo_change = lambda claims: claims | odd
        browser = place.browser()
        await browser.sign_in()
        answer = await browser.get(AUTH)
        assert answer.status == 202
        raw = answer.headers["X-Auth-Request-Preferred-Username"]
        assert raw.encode("utf-8", "surrogateescape").decode() == "Ælíce 中"
        groups = answer.headers["X-Auth-Request-Groups"].encode("utf-8", "surrogateescape")
        assert groups.decode() == "admins,dev,c,é"  # those of the ID token, too


@pytest.mark.parametrize(
    "query", ["allowed_group=admins", "allowed_groups[]=admins", "Allowed_Groups=admins",
              "allowed_roles=admins"]
)  # fmt: skip
async def test_a_misspelt_constraint_lets_nobody_in(query: str) -> None:
    async with Place() as place:
        browser = place.browser()
        await browser.sign_in("/", "bob")
        assert (await browser.get(f"/oauth2/auth?{query}", page=False)).status == 400
