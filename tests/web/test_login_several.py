"""Several providers: which of them a person is sent to, and whom each may speak for."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.web.place import Browser, Place

TWO: list[dict[str, Any]] = [
    {"name": "staff", "label": "Staff & friends"},
    {"name": "guests", "label": "Guests"},
]
HERE = {"Sec-Fetch-Site": "same-origin"}


def _is_at(place: Place, location: str, name: str) -> bool:
    return location.startswith(place.idps[name].issuer)


async def _who(place: Place) -> dict[str, Any]:
    return await place.identity()


async def test_a_page_lists_them_in_their_order_and_leads_to_each() -> None:
    async with Place(providers=TWO) as place:
        browser = place.browser()
        sent = await browser.get("/chat?m=1")
        assert (sent.status, sent.location) == (302, "/oauth2/sign_in?rd=%2Fchat%3Fm%3D1")
        page = await browser.get(sent.location)
        assert page.status == 200
        assert page.text.index("Staff &amp; friends") < page.text.index("Guests")
        link = "/oauth2/start?rd=/chat%3Fm%3D1&provider=guests"
        assert link.replace("&", "&amp;") in page.text
        to_guests = await browser.get(link)
        assert _is_at(place, to_guests.location, "guests")
        back = await browser.get(await place.idps["guests"].sign_in(to_guests.location))
        assert (back.status, back.location) == (303, "/chat?m=1")
        await browser.get(back.location)
        claims = await _who(place)
        assert claims["idp_iss"] == place.idps["guests"].issuer


async def test_each_has_a_redirect_uri_of_its_own() -> None:
    async with Place(providers=TWO) as place:
        for name in ("staff", "guests"):
            sent = await place.browser().get(f"/oauth2/start?provider={name}")
            query = parse_qs(urlsplit(sent.location).query)
            assert query["redirect_uri"] == [f"{place.public}/oauth2/callback/{name}"]
            assert query["client_id"] == ["proxy"]


async def test_one_providers_answer_is_not_taken_to_another() -> None:
    """Mix-up (RFC 9700 section 4.4): the code would reach a token endpoint that is not its own."""
    async with Place(providers=TWO) as place:
        browser = place.browser()
        url = await browser.callback_url("/", provider="staff")
        mixed = url.replace("/callback/staff", "/callback/guests")
        refused = await browser.get(mixed)
        assert refused.status == 403
        assert place.idps["guests"].calls["token"] == 0
        assert browser.session is None
        assert place.audited("login_failed")[-1]["reason"] == "attempt_missing"


@pytest.mark.parametrize("name", ["nobody", "Staff", "staff/../guests", "%00"])
async def test_an_unknown_provider_is_said_to_be_unknown(name: str) -> None:
    async with Place(providers=TWO) as place:
        answer = await place.browser().get(f"/oauth2/start?provider={quote(name)}")
        assert answer.status == 404
        assert "unknown_provider" in answer.text


async def test_programs_are_told_to_sign_in_whatever_there_is_to_choose() -> None:
    async with Place(providers=TWO) as place:
        answer = await place.browser().get("/", page=False)
        assert answer.status == 401


async def test_a_route_may_name_its_provider() -> None:
    routes = [{"path": "/guests/*", "provider": "guests"}]
    async with Place(providers=TWO, routes=routes) as place:
        browser = place.browser()
        sent = await browser.get("/guests/list")
        assert _is_at(place, sent.location, "guests")
        sent = await browser.get("/oauth2/start?rd=/guests/list")
        assert _is_at(place, sent.location, "guests")
        sent = await browser.get("/elsewhere")
        assert sent.location.startswith("/oauth2/sign_in?")


def _by_domain(name: str, *domains: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "email_domains": list(domains), **more}


async def _type(browser: Browser, email: str) -> Any:
    data = {"email": email, "rd": "/chat"}
    return await browser.post("/oauth2/sign_in", data=data, headers=HERE)


async def test_an_address_says_which_provider_it_is() -> None:
    providers = [
        _by_domain("staff", "example.test", allowed_login_params=["login_hint"]),
        _by_domain("guests", ".example.org"),
    ]
    async with Place(providers=providers) as place:
        browser = place.browser()
        page = await browser.get("/oauth2/sign_in?rd=/chat")
        assert 'name="email"' in page.text
        sent = await _type(browser, " Alice@Example.Test ")
        assert sent.status == 303
        assert _is_at(place, sent.location, "staff")
        assert "login_hint=alice%40example.test" in sent.location
        sent = await _type(browser, "x@sub.example.org")
        assert _is_at(place, sent.location, "guests")
        assert "login_hint" not in sent.location  # nobody allowed it
        for stranger in ("x@example.com", "x@notexample.test", "", "a@example.test@evil.test"):
            page = await _type(browser, stranger)
            assert page.status == 200
            assert 'role="alert"' in page.text


async def test_a_provider_speaks_for_its_own_domains_alone() -> None:
    providers = [_by_domain("staff", "corp.example"), {"name": "guests"}]
    async with Place(providers=providers) as place:
        browser = place.browser()
        refused = await browser.sign_in("/", "alice", provider="staff")
        assert refused.status == 403
        assert browser.session is None
        assert place.audited("login_failed")[-1]["reason"] == "email_not_allowed"
        assert (await browser.sign_in("/", "alice", provider="guests")).status == 303


async def test_a_rule_may_ask_who_signed_the_person_in() -> None:
    routes = [{"path": "/staff/*", "rule": {"providers": ["staff"]}}]
    async with Place(providers=TWO, routes=routes) as place:
        browser = place.browser()
        await browser.sign_in("/", provider="guests")
        denied = await browser.get("/staff/files")
        assert denied.status == 403
        assert place.audited("denied")[-1]["reason"] == "provider_not_allowed"
        browser = place.browser()
        await browser.sign_in("/", provider="staff")
        assert (await browser.get("/staff/files")).status == 200


async def test_sign_out_leads_to_the_provider_of_the_session() -> None:
    async with Place(providers=TWO) as place:
        browser = place.browser()
        await browser.sign_in("/", provider="guests")
        out = await browser.post("/oauth2/sign_out", headers=HERE)
        assert _is_at(place, out.location, "guests")
        nobody = await place.browser().post("/oauth2/sign_out", headers=HERE)
        assert nobody.status == 200


async def test_back_channel_logout_of_the_second_provider() -> None:
    async with Place(providers=TWO) as place:
        browser, other = place.browser(), place.browser()
        await browser.sign_in("/", provider="guests")
        await other.sign_in("/", provider="staff")
        subject = await _subject(place, browser)
        token = place.idps["guests"].logout_token(sub=subject)
        answer = await place.browser().post(
            "/oauth2/backchannel_logout", page=False, data={"logout_token": token}
        )
        assert answer.status == 200
        assert (await browser.get("/", page=False)).status == 401
        assert (await other.get("/", page=False)).status == 200


async def _subject(place: Place, browser: Browser) -> str:
    await browser.get("/")
    return str((await place.identity())["sub"])


async def test_a_session_is_refreshed_where_it_began() -> None:
    session = {"refresh_every": "1m"}
    async with Place(providers=TWO, session=session) as place:
        browser = place.browser()
        await browser.sign_in("/", provider="guests")
        place.clock.advance(61)
        assert (await browser.get("/")).status == 200
        assert place.idps["guests"].calls["token"] == 2
        assert place.idps["staff"].calls["token"] == 0


async def test_one_that_fails_stops_nobody_at_the_other() -> None:
    async with Place(providers=TWO) as place:
        await place.idps["staff"].stop()
        browser = place.browser()
        broken = await browser.get("/oauth2/start?provider=staff")
        assert broken.status == 502
        assert (await browser.sign_in("/", provider="guests")).status == 303


async def test_one_provider_needs_no_page() -> None:
    async with Place() as place:
        sent = await place.browser().get("/")
        assert sent.location.startswith(place.provider.issuer)
        page = await place.browser().get("/oauth2/sign_in?rd=/x")
        assert page.text.count('class="button"') == 1
        assert "<input" not in page.text
