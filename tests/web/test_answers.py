"""Answers of our own: the right form for each client, never cached, nothing of ours missing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.web.answers import DENIALS
from tests.web.place import PUBLIC, Place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(access={"support_email": "help@example.org"}) as place:
        yield place


async def test_a_person_gets_a_page_and_a_program_gets_json(place: Place) -> None:
    page = await place.browser().get("/oauth2/nothing")
    assert page.status == 404
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    program = await place.browser().get("/oauth2/nothing", page=False)
    assert program.headers["Content-Type"] == "application/problem+json"
    assert json.loads(program.body) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing here.",
        "error": "not_found",
        "message": "There is nothing here.",
        "request_id": program.headers["X-Request-Id"],
    }
    for answer in (page, program):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Server"] == "auth-proxy"


async def test_401_says_where_to_sign_in(place: Place) -> None:
    answer = await place.browser().get("/", page=False)
    assert answer.status == 401
    assert json.loads(answer.body)["login_url"] == f"{PUBLIC}/oauth2/start"
    assert answer.headers["WWW-Authenticate"]


async def test_git_alone_is_asked_for_a_password_where_tokens_are_taken(tmp_path: Path) -> None:
    session = {"file": str(tmp_path / "sessions.db")}
    async with Place(session=session) as place, Place() as without_tokens:
        for there, agent, wanted in (
            (place, "git/2.39.5", ["Bearer", "Basic"]),
            (place, "curl/8.5.0", ["Bearer"]),
            (without_tokens, "git/2.39.5", ["Bearer"]),
        ):
            answer = await there.browser().get("/x", page=False, headers={"User-Agent": agent})
            challenges = answer.headers.getall("WWW-Authenticate")
            assert answer.status == 401
            assert [one.split()[0] for one in challenges] == wanted


async def test_405_says_what_is_allowed(place: Place) -> None:
    browser = place.browser()
    for path, allowed in {
        "/oauth2/start": "GET, HEAD",
        "/oauth2/sign_out": "GET, HEAD, POST",
    }.items():
        answer = await browser.request("PUT", path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_503_says_when_to_come_back() -> None:
    async with Place(login={"enabled": False}) as place:
        answer = await place.browser().get("/oauth2/start", page=False)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


async def test_pages_speak_the_language_of_the_person(place: Place) -> None:
    french = await place.browser().get("/oauth2/signed_out", headers={"Accept-Language": "fr-CA"})
    assert french.headers["Content-Language"] == "fr"
    assert '<html lang="fr"' in french.text
    odd = await place.browser().get("/oauth2/signed_out", headers={"Accept-Language": "\xff;;q=9"})
    assert odd.headers["Content-Language"] == "en"


async def test_every_page_of_trouble_says_whom_to_ask(place: Place) -> None:
    for path in ("/oauth2/nothing", "/oauth2/callback?state=x&code=y", "/a//b"):
        page = await place.browser().get(path)
        assert "help@example.org" in page.text, path
        assert page.headers["X-Request-Id"] in page.text, path


async def test_static_files_are_cacheable_and_inert(place: Place) -> None:
    page = await place.browser().get("/oauth2/signed_out")
    for name in ("style.css", "icon.svg"):
        assert f"/oauth2/static/{name}?v=" in page.text
        answer = await place.browser().get(f"/oauth2/static/{name}")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=86400"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
        assert answer.set_cookies == []
    for name in ("", "nothing", "..%2frender.py", "render.py", "style.css/"):
        assert (await place.browser().get(f"/oauth2/static/{name}")).status in (400, 404)


async def test_head_is_get_without_the_body(place: Place) -> None:
    for path in ("/oauth2/signed_out", "/oauth2/nothing", "/ping", "/oauth2/static/icon.svg"):
        browser = place.browser()
        head, get = await browser.request("HEAD", path), await browser.get(path)
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


async def test_a_denied_address_is_shown_as_text() -> None:
    async with Place(access={"email_domains": ["staff.example"]}) as place:
        odd = "a&'b`{x}@elsewhere.example"
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"email": odd}
        page = await place.browser().sign_in()
        assert page.status == 403
        assert "a&amp;&#39;b`{x}@elsewhere.example" in page.text
        assert odd not in page.text


def test_a_denial_is_about_the_person() -> None:
    words = [
        *("_not_allowed", "email_", "identity_incomplete", "denied_by_", "_not_permitted"),
        *("sign_in_too_old", "rule_not_met", "credential_missing"),
    ]
    assert all(any(word in reason for word in words) for reason in DENIALS)
