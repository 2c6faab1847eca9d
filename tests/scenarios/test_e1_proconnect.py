"""Acceptance scenarios E1: an LLM playground behind ProConnect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.web.place import HOST, PUBLIC, Place, attempt_cookies, query

SCOPE = "openid given_name usual_name email uid siret idp_id roles"
PROCONNECT: dict[str, Any] = {
    "provider": {"scope": SCOPE, "token_auth_method": "client_secret_post"},
    "claims": {"name": ["given_name", "usual_name"], "groups": ["roles"], "extra": ["siret"]},
    "identity": {"issuer": "playground", "scope": "playground"},
    "access": {"email_domains": ["interieur.gouv.fr", ".lyon.fr"]},
    "routes": [
        {"path": "/ping/*", "access": "public"},
        {"path": "/strict", "authorization": "strip"},
    ],
    "headers": {"extra": {"X-Siret": "siret"}},
}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place("proconnect", **PROCONNECT) as place:
        yield place


async def test_e1_1_the_first_visit_goes_to_the_provider_with_nothing_extra(place: Place) -> None:
    browser = place.browser()
    answer = await browser.get("/chat?m=1")
    asked = query(answer.location)
    assert answer.status == 302
    assert answer.location.startswith(f"{place.provider.issuer}/authorize?")
    assert set(asked) == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method",
    }  # fmt: skip
    assert asked["redirect_uri"] == f"{PUBLIC}/oauth2/callback"
    assert asked["scope"] == SCOPE
    assert min(len(asked["state"]), len(asked["nonce"])) >= 32
    assert asked["code_challenge_method"] == "S256"
    (cookie,) = answer.set_cookies
    assert cookie.startswith("__Host-auth_proxy_login_")
    for attribute in ("HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600", "Path=/"):
        assert attribute in cookie
    assert answer.headers["Cache-Control"] == "no-store"


async def test_e1_2_the_callback_redeems_verifies_and_returns(place: Place) -> None:
    browser = place.browser()
    answer = await browser.sign_in("/chat?m=1", "jean")
    token = place.provider.last("token")
    assert token.fields["client_secret"] == "proxy-secret"
    assert token.fields["code_verifier"]
    assert "Authorization" not in token.headers
    assert (answer.status, answer.location) == (303, "/chat?m=1")
    assert browser.session
    assert attempt_cookies(browser.cookies) == []


async def test_e1_3_the_upstream_gets_one_verifiable_identity_and_nothing_forged(
    place: Place,
) -> None:
    browser = place.browser()
    await browser.sign_in("/", "jean")
    forged = {
        "X-Forwarded-Email": "admin@interieur.gouv.fr",
        "x_forwarded_email": "admin@interieur.gouv.fr",
        "X-Forwarded-Identity": "forged",
        "X-Siret": "00000000000000",
        "Authorization": "Bearer stolen",
    }
    answer = await browser.get("/strict", headers=forged)
    assert answer.status == 200
    claims = await place.identity("playground")
    assert claims["sub"] == place.provider.provider.users["jean"].sub
    assert claims["scope"] == "playground"
    assert 0 < claims["exp"] - claims["iat"] <= 3600
    assert place.upstream.header("X-Forwarded-Email") == ["jean.dupont@interieur.gouv.fr"]
    assert place.upstream.header("x_forwarded_email") == []
    assert place.upstream.header("X-Siret") == ["11001401500015"]
    assert place.upstream.header("Authorization") == []
    assert place.upstream.header("Cookie") == []


@pytest.mark.parametrize(
    ("email", "allowed"),
    [
        pytest.param("x@evil.fr", False, id="another domain"),
        pytest.param("x@a.lyon.fr", True, id="subdomain"),
        pytest.param("x@notlyon.fr", False, id="suffix without a dot"),
        pytest.param("a@lyon.fr@evil.fr", False, id="two at signs"),
        pytest.param("a@evil.fr@interieur.gouv.fr", False, id="two at signs, ours last"),
        pytest.param(None, False, id="no address"),
        pytest.param("Jean.DUPONT@Interieur.gouv.fr", True, id="exact domain in capitals"),
    ],
)
async def test_e1_4_the_email_domain_filter(place: Place, email: str | None, allowed: bool) -> None:
    def renamed(claims: dict[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in claims.items() if name != "email"}
        return rest if email is None else rest | {"email": email}

    place.provider.behaviour.userinfo_change = renamed
    browser = place.browser()
    answer = await browser.sign_in("/", "jean")
    if allowed:
        assert answer.status == 303
        assert browser.session
        return
    assert answer.status == 403
    assert browser.session is None
    assert attempt_cookies(browser.cookies) == []
    assert 'action="/oauth2/sign_out"' in answer.text
    assert "lyon.fr" not in answer.text.replace(str(email), "")
    assert '"event": "denied"' in place.logged()


@pytest.mark.parametrize(("roles", "status"), [(["agent_public"], 303), ([], 403)])
async def test_e1_5_a_claim_rule(roles: list[str], status: int) -> None:
    rule = [{"claim": "roles", "any_of": ["agent_public"]}]
    settings = {**PROCONNECT, "access": {"claims": rule}}
    async with Place("proconnect", **settings) as place:
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"roles": roles}
        assert (await place.browser().sign_in("/", "jean")).status == status


async def test_e1_6_a_weak_acr_is_refused_with_words_about_it() -> None:
    settings = {**PROCONNECT, "access": {"acr_values": ["eidas2", "eidas3"]}}
    async with Place("proconnect", **settings) as place:
        answer = await place.browser().sign_in("/", "jean")
        assert answer.status == 403
        assert "acr_not_allowed" in place.logged()


async def test_e1_6_access_denied_at_the_provider_is_a_403_page(place: Place) -> None:
    browser = place.browser()
    state = query((await browser.get("/")).location)["state"]
    issuer = place.provider.issuer.replace(":", "%3A").replace("/", "%2F")
    answer = await browser.get(f"/oauth2/callback?error=access_denied&state={state}&iss={issuer}")
    assert answer.status == 403
    assert "provider_denied" in place.logged()
    assert browser.session is None


async def test_e1_7_websockets(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in("/", "jean")
    url = f"http://127.0.0.1:{place.port}/ws"
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    headers = {"Host": HOST, "Origin": PUBLIC, "Cookie": cookie}
    async with place.http.ws_connect(url, headers=headers) as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == "hello"
        assert (await place.identity("playground"))["scope"] == "playground"
        with pytest.raises(aiohttp.WSServerHandshakeError) as foreign:
            await place.http.ws_connect(url, headers=headers | {"Origin": "https://evil.example"})
        assert foreign.value.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as nobody:
            await place.http.ws_connect(url, headers={"Host": HOST, "Origin": PUBLIC})
        assert nobody.value.status == 401
        await browser.post("/oauth2/sign_out")
        ended = await asyncio.wait_for(socket.receive(), 2)
        assert ended.type is aiohttp.WSMsgType.CLOSE
        assert ended.data == 1008


async def test_e1_8_sign_out_ends_the_session_here_and_at_the_provider(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in("/", "jean")
    old = dict(browser.cookies)
    answer = await browser.post("/oauth2/sign_out")
    asked = query(answer.location)
    assert answer.status in (302, 303)
    assert answer.location.startswith(f"{place.provider.issuer}/session/end?")
    assert asked["post_logout_redirect_uri"] == f"{PUBLIC}/oauth2/signed_out"
    assert asked["client_id"] == "proxy"
    assert len(asked["state"]) >= 32
    assert asked["id_token_hint"].count(".") == 2
    assert browser.session is None
    replayed = place.browser()
    replayed.cookies = old
    assert (await replayed.get("/")).status == 302
    back = await browser.get(f"/oauth2/signed_out?state={asked['state']}")
    assert back.status == 200
    assert "/oauth2/start" in back.text
    assert "http-equiv" not in back.text


async def test_e1_8_a_wrong_state_on_the_way_back_is_logged_and_harmless(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in("/", "jean")
    await browser.post("/oauth2/sign_out")
    back = await browser.get("/oauth2/signed_out?state=another")
    assert back.status == 200
    assert "logout_state_mismatch" in place.logged()


async def test_e1_8_sign_out_without_a_session_still_clears_cookies(place: Place) -> None:
    browser = place.browser()
    browser.cookies = {"__Host-auth_proxy": "garbage", "__Host-auth_proxy.1": "more"}
    answer = await browser.post("/oauth2/sign_out")
    assert answer.status in (200, 302, 303)
    assert "id_token" not in answer.location
    assert not {"__Host-auth_proxy", "__Host-auth_proxy.1"} & set(browser.cookies)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ping", 200),
        ("/ping/../chat", 400),
        ("/ping%2f..%2fchat", 400),
        ("/ping/%2e%2e/chat", 400),
        ("/ping/..;/chat", 400),
        ("/ping//chat", 400),
        ("/x/ping", 302),
        ("/pingx", 302),
        ("/PING", 302),
    ],
)
async def test_e1_10_only_the_open_path_is_open(place: Place, path: str, status: int) -> None:
    answer = await place.browser().get(path)
    assert answer.status == status
    assert place.upstream.seen == []


async def test_e1_11_the_forward_auth_contract(place: Place) -> None:
    browser = place.browser()
    assert (await browser.get("/oauth2/auth", page=False)).status == 401
    await browser.sign_in("/", "jean")
    answer = await browser.get("/oauth2/auth", page=False)
    assert answer.status == 202
    assert answer.headers["X-Auth-Request-Email"] == "jean.dupont@interieur.gouv.fr"
    assert answer.headers["X-Auth-Request-User"]
    assert "agent_public" in answer.headers["X-Auth-Request-Groups"]
    assert answer.body == b""


async def test_e1_12_a_sign_in_may_begin_on_one_replica_and_end_on_another(place: Place) -> None:
    browser = place.browser()
    first = place.app
    callback = await browser.callback_url("/chat", "jean")
    second = await place.start_proxy()
    assert first.port != second.port
    answer = await browser.get(callback, port=second.port)
    assert answer.status == 303
    assert (await browser.get("/chat", port=first.port)).status == 200
    assert json.loads((await browser.get("/chat", port=second.port)).body)["target"] == "/chat"


REFRESHED: dict[str, Any] = {
    **PROCONNECT,
    "session": {"refresh_every": "55m"},
    "access": {"groups": {"any": ["agent_public"]}},
}


async def test_e1_9_tokens_are_refreshed_once_ahead_of_their_end() -> None:
    async with Place("proconnect", **REFRESHED) as place:
        browser = place.browser()
        await browser.sign_in("/", "jean")
        place.clock.advance(54 * 60)
        await browser.get("/")
        assert place.provider.calls["token"] == 1
        place.clock.advance(60)
        old = dict(browser.cookies)
        answers = await asyncio.gather(*(browser.get(f"/{n}", page=False) for n in range(20)))
        assert [answer.status for answer in answers] == [200] * 20
        assert place.provider.calls["token"] == 2
        sent = place.provider.last("token").fields
        assert sent["grant_type"] == "refresh_token"
        cookies = {line.partition(";")[0] for answer in answers for line in answer.set_cookies}
        assert len([c for c in cookies if c.startswith("__Host-auth_proxy=")]) == 1

        late = place.browser()
        late.cookies = old
        assert (await late.get("/")).status == 200
        assert place.provider.calls["token"] == 2
        assert late.session == browser.session


async def test_e1_9_invalid_grant_ends_the_session() -> None:
    async with Place("proconnect", **REFRESHED) as place:
        browser = place.browser()
        await browser.sign_in("/", "jean")
        place.clock.advance(55 * 60)
        place.provider.misbehave("token_400_error")
        program = await browser.get("/", page=False)
        assert program.status == 401
        assert browser.session is None
        assert (await browser.get("/")).status == 302


@pytest.mark.parametrize("fault", ["token_500", "token_503_json", "token_html", "userinfo_500"])
async def test_e1_9_a_fault_of_the_provider_ends_nothing(fault: str) -> None:
    async with Place("proconnect", **REFRESHED) as place:
        browser = place.browser()
        await browser.sign_in("/", "jean")
        place.clock.advance(55 * 60)
        place.provider.misbehave(fault)
        calls = place.provider.calls["token"]
        for _ in range(3):
            assert (await browser.get("/")).status == 200
        assert place.provider.calls["token"] == calls + 1


async def test_e1_9_a_rotated_token_is_kept_when_userinfo_fails_after_it() -> None:
    async with Place("proconnect", **REFRESHED) as place:
        browser = place.browser()
        await browser.sign_in("/", "jean")
        place.clock.advance(55 * 60)
        place.provider.misbehave("userinfo_500")
        assert (await browser.get("/")).status == 200
        place.provider.behave()
        place.clock.advance(31)
        assert (await browser.get("/")).status == 200
        assert place.provider.calls["token"] == 3


async def test_e1_9_a_group_removed_is_seen_at_the_refresh() -> None:
    async with Place("proconnect", **REFRESHED) as place:
        browser = place.browser()
        await browser.sign_in("/", "jean")
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"roles": []}
        assert (await browser.get("/")).status == 200
        place.clock.advance(55 * 60)
        assert (await browser.get("/")).status == 403
        assert (await browser.get("/oauth2/auth", page=False)).status == 403


async def test_e1_9_a_refreshed_token_about_somebody_else_ends_the_session() -> None:
    async with Place("proconnect", **REFRESHED) as place:
        browser = place.browser()
        await browser.sign_in("/", "jean")
        place.clock.advance(55 * 60)
        place.provider.misbehave("id_token_other_subject")
        assert (await browser.get("/")).status == 302
