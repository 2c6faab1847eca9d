"""Signing out: here first, then at the provider, at nobody else's wish."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from proxy.errors import Reason
from tests.web.place import PUBLIC, Place, attempt_cookies, query

SESSION = "__Host-auth_proxy"
SIGN_OUT = "/oauth2/sign_out"
SIGNED_OUT = "/oauth2/signed_out"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


WISHES: list[tuple[str, dict[str, str], bool]] = [
    # method, headers, and whether that is the person's own wish
    ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
    ("POST", {"Sec-Fetch-Site": "same-site"}, True),
    ("POST", {"Sec-Fetch-Site": "cross-site"}, False),
    ("POST", {"Sec-Fetch-Site": "weird"}, False),
    ("POST", {"Origin": PUBLIC}, True),
    ("POST", {"Origin": "https://evil.example"}, False),
    ("POST", {"Origin": f"{PUBLIC}.evil.example"}, False),
    ("POST", {"Origin": "null"}, False),
    ("POST", {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, True),
    ("POST", {"Origin": PUBLIC, "Sec-Fetch-Site": "cross-site"}, False),
    ("POST", {"Referer": f"{PUBLIC}/x"}, True),
    ("POST", {"Referer": f"{PUBLIC}.evil.example/"}, False),
    ("POST", {}, True),  # a program
    ("GET", {"Sec-Fetch-Site": "same-origin"}, True),
    ("GET", {"Sec-Fetch-Site": "none"}, True),  # typed or bookmarked
    ("GET", {"Sec-Fetch-Site": "cross-site"}, False),
    ("GET", {"Referer": f"{PUBLIC}/x"}, True),
    ("GET", {"Referer": "https://evil.example/"}, False),
    ("GET", {}, False),
]


async def test_whose_wish_it_is(place: Place) -> None:
    for case in WISHES:
        method, headers, wanted = case
        browser = place.browser()
        await browser.sign_in()
        known = len(place.audited("logout"))
        answer = await browser.request(method, SIGN_OUT, headers=headers)
        assert len(place.audited("logout")) == known + wanted, case
        if wanted:
            assert answer.status == 303, case
            assert answer.location.startswith(f"{place.provider.issuer}/session/end?")
            assert browser.session is None, case
            continue
        assert answer.set_cookies == [], case
        assert (await browser.get("/")).status == 200, case
        if method == "POST":
            assert answer.status == 403, case
            assert Reason.CROSS_SITE in answer.text
        else:
            assert answer.status == 200, case
            assert f'method="post" action="{SIGN_OUT}"' in answer.text


async def test_no_other_method_signs_out(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (await browser.request(method, SIGN_OUT)).status == 405
    assert (await browser.get("/")).status == 200


async def test_the_whole_way_out_and_back(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    await browser.get("/oauth2/start")  # an attempt that is left over
    old = dict(browser.cookies)
    answer = await browser.post(SIGN_OUT)
    asked = query(answer.location)
    assert set(asked) == {"id_token_hint", "client_id", "post_logout_redirect_uri", "state"}
    assert list(browser.cookies) == [f"{SESSION}_logout"]
    names = [line.partition("=")[0] for line in answer.set_cookies]
    assert len(names) == len(set(names))
    async with place.http.get(answer.location, allow_redirects=False) as response:
        back = response.headers["Location"]
    page = await browser.get(back)
    assert page.status == 200
    assert "Your identity provider has ended its session too." in page.text
    assert browser.cookies == {}
    replayed = place.browser()
    replayed.cookies = old
    assert (await replayed.get("/")).status == 302
    (line,) = place.audited("logout")
    assert (line["reason"], line["email"]) == ("signed_out", "alice@example.org")
    assert asked["id_token_hint"] not in place.logged()
    assert asked["state"] not in place.logged()


async def test_every_sign_out_has_a_state_of_its_own(place: Place) -> None:
    browser = place.browser()
    states = {query((await browser.post(SIGN_OUT)).location)["state"] for _ in range(3)}
    assert len(states) == 3
    assert min(map(len, states)) >= 43


async def test_a_return_with_a_wrong_state_shows_the_page_all_the_same(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    for number, back in enumerate(("?state=another", "", "?state=a&state=b"), 1):
        await browser.post(f"{SIGN_OUT}?rd=/elsewhere")
        page = await browser.get(SIGNED_OUT + back)
        assert page.status == 200
        assert "has ended its session too" not in page.text
        assert 'href="/oauth2/start?rd=/"' in page.text
        assert len(place.audited(Reason.LOGOUT_STATE_MISMATCH)) == number


async def test_the_signed_out_page_never_signs_in_by_itself(place: Place) -> None:
    browser = place.browser()
    for _ in range(2):
        page = await browser.get(SIGNED_OUT)
        assert page.status == 200
        assert "refresh" not in page.text.lower().replace("no-referrer", "")
        assert "<script" not in page.text
        assert attempt_cookies(browser.cookies) == []
    assert Reason.LOGOUT_STATE_MISMATCH not in place.logged()


async def test_a_forged_memory_of_a_sign_out_is_none(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    for value in ("garbage", str(browser.session)):
        browser.cookies[f"{SESSION}_logout"] = value
        page = await browser.get(f"{SIGNED_OUT}?state=")
        assert page.status == 200
        assert "has ended its session too" not in page.text


RD = [
    ("/open/page", "/open/page", True),
    ("/%6fpen/page", "/%6fpen/page", True),
    ("/maybe?x=1", "/maybe?x=1", True),
    ("/closed", "/closed", False),
    ("/%63losed", "/%63losed", False),
    ("//evil.example", "/", False),
    ("/\\evil.example", "/", False),
    ("/\t/evil.example", "/", False),
    ("https://evil.example/", "/", False),
    ("https://other.example/bye", "https://other.example/bye", True),
    ("https://other.example.evil.example/", "/", False),
    ("/oauth2/start", "/", False),
]
ROUTES = [
    {"path": "/open/*", "access": "public"},
    {"path": "/maybe", "access": "optional"},
]


@pytest.mark.parametrize("ends", [True, False], ids=["provider ends sessions", "it does not"])
async def test_where_rd_leads(ends: bool) -> None:
    settings: dict[str, Any] = {"routes": ROUTES, "login": {"redirect_hosts": ["other.example"]}}
    async with Place(**settings) as place:
        if not ends:
            place.provider.misbehave("discovery_no_end_session")
            await place.start_proxy()
        for rd, expected, followed in RD:
            browser = place.browser()
            await browser.sign_in("/closed")
            answer = await browser.post(f"{SIGN_OUT}?rd={quote(rd, safe='')}")
            if ends:
                state = query(answer.location)["state"]
                answer = await browser.get(f"{SIGNED_OUT}?state={state}")
            if followed:
                assert (answer.status, answer.location) == (303, expected), rd
            else:
                assert (answer.status, answer.location) == (200, ""), rd
                assert f'href="/oauth2/start?rd={quote(expected)}"' in answer.text, rd
            assert browser.session is None


async def test_a_provider_that_is_down_keeps_nobody_signed_in(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    await place.provider.stop()
    await place.start_proxy()
    page = await browser.post(SIGN_OUT)
    assert page.status == 200
    assert "You are signed out" in page.text
    assert browser.cookies == {}
    assert (await browser.get("/oauth2/userinfo", page=False)).status == 401


async def test_without_a_session_cookies_are_cleared_and_no_hint_is_sent(place: Place) -> None:
    browser = place.browser()
    odd = {f"{SESSION}_x!": "1", "app": "kept", f"{SESSION}.1": "1", f"{SESSION}_bounces": "2"}
    browser.cookies = {SESSION: "garbage", **odd}
    answer = await browser.post(SIGN_OUT)
    assert set(query(answer.location)) == {"client_id", "post_logout_redirect_uri", "state"}
    assert set(browser.cookies) == {"app", f"{SESSION}_x!", f"{SESSION}_logout"}
    assert place.audited("logout") == []


async def test_a_program_gets_json_where_a_person_gets_a_page() -> None:
    async with Place() as place:
        place.provider.misbehave("discovery_no_end_session")
        await place.start_proxy()
        answer = await place.browser().get(
            SIGN_OUT, page=False, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert answer.text == '{"signed_out": true}'


LAMINI = {"callback": "/v1/auth/auth", "start": "/v1/auth/login", "signed_out": "/"}


async def test_e4_1_sign_out_may_return_to_the_root() -> None:
    async with Place(paths=LAMINI) as place:
        browser = place.browser()
        assert (await browser.sign_in("/v1/auth/login?rd=/x")).location == "/x"
        asked = query((await browser.post(SIGN_OUT)).location)
        assert asked["post_logout_redirect_uri"] == f"{PUBLIC}/"
        page = await browser.get(f"/?state={asked['state']}")
        assert page.status == 200
        assert 'href="/v1/auth/login?rd=/"' in page.text
        assert (await browser.get("/")).status == 302
        assert place.upstream.seen == []


async def test_a_sign_out_left_halfway_does_not_show_its_page_later() -> None:
    async with Place(paths=LAMINI) as place:
        browser = place.browser()
        await browser.sign_in("/x")
        await browser.post(SIGN_OUT)
        await browser.sign_in("/x")
        assert f"{SESSION}_logout" not in browser.cookies
        assert "target" in (await browser.get("/")).text


@pytest.mark.parametrize("name", ["Sec-Purpose", "Purpose"])
async def test_a_prefetch_signs_nobody_out(name: str) -> None:
    async with Place() as place:
        browser = place.browser()
        await browser.sign_in()
        told = {name: "prefetch;prerender", "Sec-Fetch-Site": "same-origin"}
        answer = await browser.get("/oauth2/sign_out", headers=told)
        assert answer.status == 200
        assert (await browser.get("/")).status == 200
