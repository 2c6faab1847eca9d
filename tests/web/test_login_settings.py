"""What settings change about signing in: cookies, the provider's ways, rd, loops."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, unquote

import pytest

from proxy.demo.people import Client
from proxy.errors import Reason
from tests.web.place import PUBLIC, Place, query

SESSION = "__Host-auth_proxy"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


async def test_the_cookies_of_an_https_site(place: Place) -> None:
    browser = place.browser()
    answer = await browser.sign_in()
    for line in answer.set_cookies:
        assert line.startswith("__Host-auth_proxy")
        assert "; Path=/;" in line
        assert "Domain" not in line
        assert line.endswith("; Secure; HttpOnly; SameSite=Lax")
        assert 0 <= int(line.partition("Max-Age=")[2].partition(";")[0]) <= 12 * 3600
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_the_cookies_of_a_local_http_site() -> None:
    async with Place(public_url="http://localhost:4180") as place:
        browser = place.browser()
        answer = await browser.sign_in("/deep")
        assert (answer.status, answer.location) == (303, "/deep")
        assert "auth_proxy" in browser.cookies
        assert not [line for line in answer.set_cookies if "Secure" in line or "__Host" in line]
        assert (await browser.get("/")).status == 200


async def test_same_site_none_is_for_the_session_alone() -> None:
    async with Place(cookie={"same_site": "None"}) as place:
        browser = place.browser()
        lines = (await browser.sign_in()).set_cookies
        kept = [line for line in lines if "Max-Age=0" not in line]
        sites = {line.partition("=")[0]: line.rpartition("SameSite=")[2] for line in kept}
        assert sites == {SESSION: "None", f"{SESSION}_bounces": "Lax"}


# talking to the provider


@pytest.mark.parametrize(
    ("settings", "discovery", "sent"),
    [
        pytest.param({}, (), True, id="auto"),
        pytest.param({"pkce": "off"}, (), False, id="off"),
        pytest.param({"pkce": "on"}, ("discovery_plain_pkce_only",), True, id="on"),
        pytest.param({}, ("discovery_plain_pkce_only",), False, id="auto, S256 not listed"),
        pytest.param({}, ("discovery_no_pkce",), True, id="auto, nothing listed"),
    ],
)
async def test_pkce(settings: dict[str, Any], discovery: tuple[str, ...], sent: bool) -> None:
    async with Place(provider=settings) as place:
        place.provider.misbehave(*discovery)
        await place.start_proxy()
        assert (await place.browser().sign_in()).status == 303
        assert ("code_verifier" in place.provider.last("token").fields) is sent


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic", "none", "auto"])
async def test_client_authentication_with_odd_characters(method: str) -> None:
    odd, secret = "a pp:1/é", "" if method == "none" else "p:w+ %é&="
    settings = {"client_id": odd, "client_secret": secret, "token_auth_method": method}
    async with Place(provider=settings) as place:
        back = (f"{PUBLIC}/oauth2/callback",)
        place.provider.register(Client(odd, secret, back))
        assert (await place.browser().sign_in()).status == 303
        request = place.provider.last("token")
        header = request.headers.get("Authorization", "")
        assert ("client_secret" in request.fields) is (method == "client_secret_post")
        assert header.startswith("Basic ") is (method in ("client_secret_basic", "auto"))
        if header:
            pair = base64.b64decode(header.removeprefix("Basic ")).decode()
            assert pair == "a+pp%3A1%2F%C3%A9:p%3Aw%2B+%25%C3%A9%26%3D"


async def test_a_link_may_pass_on_listed_parameters_only() -> None:
    settings = {"allowed_login_params": ["login_hint"], "authorization_params": {"prompt": "login"}}
    async with Place(provider=settings) as place:
        start = (
            "/oauth2/start?rd=/x&login_hint=a%26b&prompt=none&scope=all&state=mine"
            "&client_id=other&redirect_uri=https://evil.example&nonce=mine&code_challenge=x"
        )
        asked = query((await place.browser().get(start)).location)
        assert asked["login_hint"] == "a&b"
        assert asked["prompt"] == "login"
        assert asked["client_id"] == "proxy"
        assert asked["redirect_uri"] == f"{PUBLIC}/oauth2/callback"
        assert asked["scope"] == "openid email profile groups"
        assert "mine" not in (asked["state"], asked["nonce"])
        assert len(asked["code_challenge"]) == 43


RD = {
    "/chat?m=1&n=2": "/chat?m=1&n=2",
    f"{PUBLIC}/chat": "/chat",
    **dict.fromkeys(
        (
            *("", "chat", "//evil.example", "///evil.example", "/\\evil.example"),
            *("\\/evil.example", "https://evil.example/", "https:evil.example"),
            *("HTTPS://EVIL.EXAMPLE", "javascript:alert(1)", "data:text/html,x"),
            *("/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example"),
            *("/%2f/evil.example", "/%2F%2Fevil.example", "/%5cevil.example"),
            *("/%09/evil.example", "/%252f/evil.example", "/../..//evil.example"),
            *("/.//evil.example", f"{PUBLIC}.evil.example/", f"{PUBLIC}@evil.example/"),
            *(f"{PUBLIC}//evil.example", f"{PUBLIC}\\@evil.example"),
            *("https://user@play.example.gouv.fr/", "https://play.example.gouv.fr:444/"),
            *("http://play.example.gouv.fr/", "/x\r\nSet-Cookie: a=b", "/\u2028", "/é"),
            *("//%E2%80%8B/", "/oauth2/sign_out", "/oauth2/callback?code=x", "/x" * 2000),
        ),
        "/",
    ),
}


async def test_rd_never_leads_to_another_origin(place: Place) -> None:
    for rd, expected in RD.items():
        browser = place.browser()
        callback = await browser.callback_url(f"/oauth2/start?rd={quote(rd, safe='')}")
        location = (await browser.get(callback)).location
        assert location == expected, (rd, location)
        page = await browser.get(f"/oauth2/sign_in?rd={quote(rd, safe='')}")
        assert f'href="/oauth2/start?rd={quote(expected, safe="/")}"' in page.text, rd


async def test_the_sign_in_page_begins_nothing_by_itself(place: Place) -> None:
    browser = place.browser()
    page = await browser.get("/oauth2/sign_in?rd=/x")
    assert page.status == 200
    assert browser.cookies == {}
    start = re.search(r'href="(/oauth2/start[^"]*)"', page.text)
    assert start
    assert (await browser.get(unquote(start[1]))).status == 302


# loops


async def test_a_browser_that_drops_the_session_cookie_is_told_so(place: Place) -> None:
    browser = place.browser()
    for _ in range(3):
        assert (await browser.sign_in("/deep")).status == 303
        del browser.cookies[SESSION]
    page = await browser.get("/deep")
    assert (page.status, page.location) == (403, "")
    assert Reason.LOGIN_LOOP in place.logged()
    assert 'href="/oauth2/start?rd=/deep"' in page.text
    assert (await browser.get("/oauth2/start?rd=/deep")).status == 302


async def test_a_session_that_comes_back_ends_the_counting(place: Place) -> None:
    browser = place.browser()
    for path in ("/", "/oauth2/userinfo", "/oauth2/auth", "/", "/", "/"):
        assert (await browser.sign_in()).status == 303
        assert (await browser.get(path)).status in (200, 202)
        assert f"{SESSION}_bounces" not in browser.cookies
        del browser.cookies[SESSION]


async def test_five_tabs_are_no_loop(place: Place) -> None:
    browser = place.browser()
    callbacks = [await browser.callback_url(f"/{number}") for number in range(5)]
    for callback in callbacks:
        assert (await browser.get(callback)).status == 303
    assert (await browser.get("/oauth2/start")).status == 302
    assert (await browser.get("/")).status == 200


async def test_a_program_in_a_loop_gets_json(place: Place) -> None:
    browser = place.browser()
    browser.cookies = {f"{SESSION}_bounces": "3"}
    answer = await browser.get("/oauth2/start", page=False)
    assert answer.status == 403
    assert '"error": "login_loop"' in answer.text


async def test_sign_in_can_be_switched_off_while_sessions_go_on(place: Place) -> None:
    signed_in, started = place.browser(), place.browser()
    await signed_in.sign_in()
    callback = await started.callback_url()
    await place.start_proxy(login={"enabled": False})
    assert (await signed_in.get("/")).status == 200
    for path in ("/", "/oauth2/start", callback):
        page = await started.get(path)
        assert page.status == 503
        assert "text/html" in page.headers["Content-Type"]
        program = await place.browser().get("/oauth2/start", page=False)
        assert (program.status, "login_disabled" in program.text) == (503, True)
    assert started.session is None


async def test_an_app_below_a_path_has_our_endpoints_there_too() -> None:
    async with Place(server={"prefix": "/below/oauth2"}) as place:
        place.provider.register(
            Client("proxy", "proxy-secret", (f"{PUBLIC}/below/oauth2/callback",))
        )
        browser = place.browser()
        answer = await browser.sign_in("/below/page")
        assert (answer.status, answer.location) == (303, "/below/page")
        assert (await browser.get("/below/oauth2/userinfo", page=False)).status == 200
        assert (await browser.get("/below/oauth2/other")).status == 404
        assert (await browser.get("/below/page")).status == 200


async def test_a_sign_in_on_a_further_host_begins_at_home() -> None:
    async with Place(server={"hosts": ["other.example"]}) as place:
        answer = await place.browser().get("/deep?x=1", headers={"Host": "other.example"})
        assert (answer.status, answer.location) == (302, f"{PUBLIC}/deep?x=1")
        assert answer.set_cookies == []


async def test_an_open_door_is_told_at_the_start() -> None:
    async with Place() as place:
        assert "access is empty" in place.logged()
    async with Place(access={"email_domains": ["*"]}) as place:
        assert "access is empty" not in place.logged()


async def test_a_userinfo_that_says_nothing_is_told() -> None:
    async with Place() as place:
        place.provider.misbehave("userinfo_500")
        assert (await place.browser().sign_in()).status == 303
        assert "userinfo said nothing: status 500" in place.logged()
