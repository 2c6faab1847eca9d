"""Administrators see and end anybody's sessions, on the private listener, with the token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from proxy.model import Identity, Session, Tokens
from tests.web.place import Answer, Browser, Place

TOKEN = "an-administrators-token-of-43-characters-0x"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LISTEN = {"listen": "127.0.0.1:0", "private_listen": "127.0.0.1:0"}
ALICE = "alice-5f0c3b1e"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(server={"admin_token": TOKEN, **LISTEN}) as place:
        yield place


@pytest.fixture(params=["cookie", "file"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """With sessions wherever they may be."""
    session = {"store": request.param, "file": str(tmp_path / "sessions.db")}
    async with Place(server={"admin_token": TOKEN, **LISTEN}, session=session) as place:
        yield place


async def ask(
    place: Place, method: str, path: str, headers: Any = BEARER
) -> tuple[Answer, dict[str, Any]]:
    """An answer of the private listener, and its JSON."""
    url = URL(f"http://127.0.0.1:{place.app.private_port}{path}", encoded=True)
    async with place.http.request(method, url, headers=headers) as response:
        answer = Answer(response.status, response.headers, await response.read())
    is_json = answer.headers["Content-Type"].startswith("application/json")
    return answer, json.loads(answer.body) if is_json else {}


async def listed(place: Place, query: str = "") -> list[dict[str, Any]]:
    answer, document = await ask(place, "GET", f"/sessions{query}")
    assert answer.status == 200, answer.text
    return document["sessions"]  # type: ignore[no-any-return]


async def signed_in(place: Place, user: str = "alice") -> Browser:
    browser = place.browser()
    await browser.sign_in(user=user)
    return browser


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/")).status == 200


async def is_out(browser: Browser) -> None:
    """Returns once the browser's session has ended: those who serve it hear of that."""
    async with asyncio.timeout(5):
        while await is_in(browser):
            pass


async def begin(place: Place, number: int, **who: Any) -> Session:
    """A session that somebody else's replica has, say."""
    person = Identity(issuer="https://other.example", subject="s", user="u")
    now = place.clock()
    session = Session(f"id {number}", replace(person, **who), Tokens(""), now, now + 900, now)
    await place.app.parts.keeping.register.begin(session, "value", "curl/8", "", now)
    return session


async def test_a_session_is_shown_without_its_secrets(kept: Place) -> None:
    place = kept
    browser = await signed_in(place)
    (shown,) = await listed(place)
    assert {key: shown[key] for key in ("iss", "sub", "email", "address")} == {
        "iss": place.provider.issuer,
        "sub": ALICE,
        "email": "alice@example.org",
        "address": "127.0.0.1",
    }
    assert shown["started_at"] == shown["last_used_at"] == int(place.clock())
    assert shown["expires_at"] > shown["started_at"]
    answer, one = await ask(place, "GET", f"/sessions/{shown['sid']}")
    assert one == shown
    assert answer.headers["Cache-Control"] == "no-store"
    assert browser.session is not None
    cookie = [(b"__Host-auth_proxy", browser.session.encode())]
    (opened,) = await place.app.parts.sessions.all(cookie, place.clock())
    handle = place.app.parts.keeping.store.handle(browser.session)
    for secret in (opened.session.id, browser.session, handle):
        assert not secret or secret not in answer.text
    assert not {"session_id", "handle", "value"} & set(shown)


async def test_one_session_ends(place: Place) -> None:
    one, two = await signed_in(place), await signed_in(place)
    sid = (await listed(place))[0]["sid"]
    answer, document = await ask(place, "DELETE", f"/sessions/{sid}")
    assert (answer.status, document) == (200, {"ended": 1})
    async with asyncio.timeout(5):
        while await is_in(one) and await is_in(two):
            pass
    assert await is_in(one) or await is_in(two)
    assert [card["sid"] == sid for card in await listed(place)] == [False]
    (line,) = place.audited("session_ended")
    told = {name: line[name] for name in ("by", "sid", "sub", "sessions", "client", "reason")}
    assert told == {
        "by": "admin",
        "sid": sid,
        "sub": ALICE,
        "sessions": 1,
        "client": "127.0.0.1",
        "reason": "session_ended",
    }
    for method in ("GET", "DELETE"):
        for unknown in (sid, "0" * 32, "x", "%2e%2e", "*"):
            answer, document = await ask(place, method, f"/sessions/{unknown}")
            assert (answer.status, document["error"]) == (404, "not_found"), unknown


async def test_a_person_ends_everywhere(place: Place) -> None:
    for query in (f"person={ALICE}", "email=Alice@Example.org", "person={}&issuer={}"):
        place.clock.advance(1)
        browsers = [await signed_in(place), await signed_in(place)]
        bob = await signed_in(place, "bob")
        query = query.format(ALICE, quote(place.provider.issuer, safe=""))
        answer, document = await ask(place, "DELETE", f"/sessions?{query}")
        assert (answer.status, document) == (200, {"ended": 2}), query
        for browser in browsers:
            await is_out(browser)
        assert await is_in(bob)
        assert await listed(place, f"?person={ALICE}") == []
    lines = place.audited("session_ended")
    assert [line["sessions"] for line in lines] == [2, 2, 2]
    assert lines[1]["email"] == "Alice@Example.org"
    assert lines[2]["person"] == ALICE


async def test_a_person_is_found_at_every_provider_and_ended_without_a_card(place: Place) -> None:
    unknown = await signed_in(place)  # whose card is lost
    parts = place.app.parts
    (card,) = [card async for card in parts.keeping.register.everybody(place.clock())]
    await parts.keeping.register._cards.drop(card)
    elsewhere = await begin(place, 1, subject=ALICE)
    namesake = await begin(place, 2, subject="another")
    answer, document = await ask(place, "DELETE", f"/sessions?person={ALICE}")
    assert (answer.status, document) == (200, {"ended": 1})
    await is_out(unknown)
    assert await parts.keeping.endings.is_over(elsewhere, place.clock())
    assert not await parts.keeping.endings.is_over(namesake, place.clock())


async def test_everybody_ends_only_when_it_is_said(kept: Place) -> None:
    place = kept
    alice, bob = await signed_in(place), await signed_in(place, "bob")
    answer, document = await ask(place, "DELETE", "/sessions?all=true")
    assert (answer.status, document) == (200, {"ended": 2})
    await is_out(alice)
    await is_out(bob)
    assert place.audited("session_ended")[0]["all"] == "true"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?all",
        "?all=",
        "?all=1",
        "?all=false",
        "?all=TRUE",
        "?all=true&all=true",
        "?person=",
        "?email=",
        "?person=a&email=b",
        "?person=a&all=true",
        "?issuer=https://a.example",
        "?issuer=https://a.example&all=true",
        "?email=a&issuer=https://a.example",
        "?persn=a",
        "?persn=a&all=true",
        "?all=true&limit=1",
        "?person=a&person=b",
    ],
)
async def test_nobody_ends_by_a_slip(place: Place, query: str) -> None:
    alice = await signed_in(place)
    answer, document = await ask(place, "DELETE", f"/sessions{query}")
    assert (answer.status, document["error"]) == (400, "bad_request")
    assert await is_in(alice)
    assert place.audited("session_ended") == []


async def test_lists_are_filtered_and_limited(place: Place) -> None:
    await begin(place, 1, subject="a", email="a@example.org")
    await begin(place, 2, subject="a", issuer="https://second.example")
    for number in range(3, 8):
        await begin(place, number, subject="b", email="b@example.org")
    for query, count in (
        ("", 7),
        ("?person=a", 2),
        ("?person=a&issuer=https://second.example", 1),
        ("?issuer=https://second.example", 1),
        ("?email=B@example.org", 5),
        ("?person=a&email=b@example.org", 0),
        ("?person=a&issuer=https://second.example&email=b@example.org", 0),
        ("?person=A", 0),
        ("?limit=3", 3),
        ("?limit=1000", 7),
    ):
        assert len(await listed(place, query)) == count, query
    for query, more in (("?limit=6", True), ("?limit=7", False)):
        assert (await ask(place, "GET", f"/sessions{query}"))[1]["more"] is more
    for query in ("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=١", "who=a"):
        answer, _ = await ask(place, "GET", f"/sessions?{quote(query, safe='=')}")
        assert answer.status == 400, query


async def test_without_a_limit_a_list_is_of_a_hundred(place: Place) -> None:
    for number in range(101):
        await begin(place, number, subject=str(number))
    _, document = await ask(place, "GET", "/sessions")
    assert (len(document["sessions"]), document["more"]) == (100, True)


PLACES = (
    ("GET", "/sessions"),
    ("GET", f"/sessions/{'0' * 32}"),
    ("DELETE", "/sessions?all=true"),
    ("DELETE", f"/sessions/{'0' * 32}"),
)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN.upper()}"},
        {"Authorization": f"Bearer {TOKEN} {TOKEN}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer \xe9"},
        [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")],
        {"X-Admin-Token": TOKEN},
    ],
)
async def test_nobody_comes_in_without_the_token(place: Place, headers: Any) -> None:
    alice = await signed_in(place)
    for method, path in PLACES:
        answer, document = await ask(place, method, path, headers)
        assert (answer.status, document["error"]) == (401, "no_session"), path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert await is_in(alice)
    assert TOKEN not in place.logged()


async def test_the_scheme_is_read_in_any_case(place: Place) -> None:
    answer, _ = await ask(place, "GET", "/sessions", {"Authorization": f"bearer {TOKEN}"})
    assert answer.status == 200


async def test_without_a_configured_token_there_is_no_api() -> None:
    async with Place() as place:
        for method, path in PLACES:
            for headers in (BEARER, {"Authorization": "Bearer "}, {}):
                answer, _ = await ask(place, method, path, headers)
                assert answer.status == 404


async def test_the_api_is_private(place: Place) -> None:
    for method, path in PLACES:
        answer = await place.browser().request(method, path, page=False, headers=BEARER)
        assert answer.status == 401
        assert json.loads(answer.body)["login_url"]  # the guarded app, which says who to be


async def test_a_lost_store_is_503(place: Place) -> None:
    await place.app.parts.keeping.shelf.close()
    for method, path in PLACES:
        answer, document = await ask(place, method, path)
        assert (answer.status, document["error"]) == (503, "store_unavailable")
        assert answer.headers["Retry-After"] == "5"
    assert place.audited("session_ended") == []
