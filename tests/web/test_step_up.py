"""A route that needs a stronger or fresher sign-in sends the browser for it, once."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.web.place import Browser, Place

STRONG = {"path": "/vault/*", "rule": {"acr_values": ["gold", "silver"], "remedy": "Use your key."}}
FRESH = {"path": "/pay/*", "rule": {"max_age": "10m"}}


def _place(*routes: dict[str, Any], **settings: Any) -> Place:
    return Place(routes=list(routes), **settings)


def _asked(location: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(location).query)


async def _again(place: Place, browser: Browser, location: str) -> Any:
    place.provider.forget()
    return await browser.get(await place.provider.sign_in(location))


async def test_a_stronger_sign_in_is_asked_for_and_opens_the_route() -> None:
    async with _place(STRONG) as place:
        browser = place.browser()
        await browser.sign_in("/")
        sent = await browser.get("/vault/keys?x=1")
        assert sent.status == 302
        assert _asked(sent.location)["acr_values"] == ["gold silver"]
        place.provider.provider.behaviour.acr = "silver"
        back = await _again(place, browser, sent.location)
        assert (back.status, back.location) == (303, "/vault/keys?x=1")
        assert (await browser.get("/vault/keys?x=1")).status == 200


async def test_a_provider_that_cannot_is_told_once_and_the_session_goes_on() -> None:
    async with _place(STRONG) as place:
        browser = place.browser()
        await browser.sign_in("/")
        sent = await browser.get("/vault/keys")
        refused = await _again(place, browser, sent.location)
        assert refused.status == 403
        assert place.audited("login_failed")[-1]["reason"] == "acr_not_allowed"
        assert (await browser.get("/")).status == 200  # as before


async def test_a_fresh_sign_in_is_asked_for_by_max_age() -> None:
    async with _place(FRESH) as place:
        browser = place.browser()
        await browser.sign_in("/")
        assert (await browser.get("/pay/now")).status == 200
        place.clock.advance(1300)
        sent = await browser.get("/pay/now")
        assert _asked(sent.location)["max_age"] == ["600"]
        back = await _again(place, browser, sent.location)
        assert back.status == 303
        assert (await browser.get("/pay/now")).status == 200


async def test_or_by_prompt() -> None:
    async with _place(FRESH, provider={"fresh_sign_in": "prompt"}) as place:
        browser = place.browser()
        await browser.sign_in("/")
        place.clock.advance(1300)
        asked = _asked((await browser.get("/pay/now")).location)
        assert asked["prompt"] == ["login"]
        assert "max_age" not in asked


async def test_a_provider_without_auth_time_does_not_make_a_loop() -> None:
    async with _place(FRESH) as place:
        place.provider.misbehave("id_token_missing_auth_time")
        browser = place.browser()
        await browser.sign_in("/")
        sent = await browser.get("/pay/now")
        assert sent.status == 302
        refused = await _again(place, browser, sent.location)
        assert refused.status == 403
        assert place.audited("login_failed")[-1]["reason"] == "sign_in_too_old"


@pytest.mark.parametrize(
    ("route", "challenge"),
    [
        pytest.param(STRONG, 'acr_values="gold silver"', id="acr"),
        pytest.param(FRESH, 'max_age="600"', id="age"),
    ],
)
async def test_programs_are_told_what_is_missing(route: dict[str, Any], challenge: str) -> None:
    """RFC 9470 section 3."""
    async with _place(route) as place:
        browser = place.browser()
        await browser.sign_in("/")
        place.clock.advance(1300)
        path = route["path"].replace("*", "x")
        answer = await browser.get(path, page=False)
        assert answer.status == 401
        header = answer.headers["WWW-Authenticate"]
        assert header.startswith('Bearer error="insufficient_user_authentication"')
        assert challenge in header


async def test_who_lacks_more_than_that_is_not_sent_around() -> None:
    rule = {"acr_values": ["gold"], "groups": {"any": ["board"]}, "remedy": "Ask the board."}
    async with _place({"path": "/board/*", "rule": rule}) as place:
        browser = place.browser()
        await browser.sign_in("/")
        denied = await browser.get("/board/minutes")
        assert denied.status == 403
        assert "Ask the board." in denied.text
        told = json.loads((await browser.get("/board/minutes", page=False)).body)
        assert (told["error"], told["remedy"]) == ("group_not_allowed", "Ask the board.")


async def test_the_provider_of_the_session_is_asked() -> None:
    providers = [{"name": "one"}, {"name": "two"}]
    async with _place(STRONG, providers=providers) as place:
        browser = place.browser()
        await browser.sign_in("/", provider="two")
        sent = await browser.get("/vault/keys")
        assert sent.location.startswith(place.idps["two"].issuer)
