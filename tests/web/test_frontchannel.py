"""The provider signs a browser out in an iframe: only that browser, and only if all is right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from tests.web.place import Answer, Browser, Place
from tests.web.test_backchannel import ALICE, known, sid_of, signed_in

PATH = "/oauth2/frontchannel_logout"
FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


async def framed(browser: Browser, *fields: tuple[str, str]) -> Answer:
    """What the browser gets in the provider's iframe."""
    return await browser.get(f"{PATH}?{urlencode(fields)}", headers=FRAME)


async def test_this_browsers_session_ends(place: Place) -> None:
    mine, other = place.browser(), place.browser()
    await other.sign_in()
    await mine.sign_in()
    stolen = dict(mine.cookies)
    fields = (("iss", place.provider.issuer), ("sid", sid_of(place)), ("unknown", "x"))
    answer = await framed(mine, *fields)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert mine.session is None
    replayed = place.browser()
    replayed.cookies = stolen
    assert [await signed_in(browser) for browser in (replayed, other)] == [False, True]
    (line,) = place.audited("provider_logout")
    assert (line["reason"], line["sub"], line["sessions"]) == ("signed_out_by_provider", ALICE, 1)


async def test_only_the_provider_may_frame_the_page(place: Place) -> None:
    answer = await framed(place.browser(), ("iss", place.provider.issuer), ("sid", "x"))
    origin = f"http://127.0.0.1:{place.provider.port}"
    policy = f"default-src 'none'; frame-ancestors {origin}"
    assert answer.headers["Content-Security-Policy"] == policy
    assert "X-Frame-Options" not in answer.headers
    page = await place.browser().get("/oauth2/signed_out")
    assert page.headers["X-Frame-Options"] == "DENY"


async def test_what_is_not_meant_has_no_effect_and_looks_the_same(place: Place) -> None:
    other, mine = place.browser(), place.browser()
    await other.sign_in()
    theirs = sid_of(place)
    await mine.sign_in()
    own, issuer = sid_of(place), place.provider.issuer
    for fields in (
        (("iss", issuer), ("sid", theirs)),
        (("iss", issuer), ("sid", own[:-1])),
        (("iss", issuer + "/"), ("sid", own)),
        (("iss", "https://other.example"), ("sid", own)),
        (("iss", issuer), ("sid", f" {own}")),
    ):
        answer = await framed(mine, *fields)
        assert (answer.status, answer.set_cookies) == (200, []), fields
        assert answer.headers["Cache-Control"] == "no-store"
    assert [await signed_in(mine), await signed_in(other)] == [True, True]
    assert place.audited("provider_logout") == []
    last = await framed(mine, ("iss", issuer), ("sid", own))
    assert last.body == answer.body


async def test_a_sid_alone_signs_nobody_out(place: Place) -> None:
    """mod_auth_openidc's hardening, security.md 4 no. 30."""
    mine, stranger = place.browser(), place.browser()
    await mine.sign_in()
    fields = (("iss", place.provider.issuer), ("sid", sid_of(place)))
    assert (await framed(stranger, *fields)).status == 200
    assert await signed_in(mine)


async def test_a_session_without_sid_is_never_meant(place: Place) -> None:
    place.provider.behaviour.id_token_claims = lambda claims: {  # type: ignore[method-assign]
        name: value for name, value in claims.items() if name != "sid"
    }
    mine = place.browser()
    await mine.sign_in()
    assert (await framed(mine, ("iss", place.provider.issuer), ("sid", ""))).status == 400
    assert await signed_in(mine)


async def test_both_parameters_are_needed_once(place: Place) -> None:
    mine = place.browser()
    await mine.sign_in()
    iss, sid = ("iss", place.provider.issuer), ("sid", sid_of(place))
    for fields in ((), (iss,), (sid,), (iss, sid, sid), (iss, iss, sid), (("iss", ""), sid)):
        answer = await framed(mine, *fields)
        assert answer.status == 400, fields
        assert answer.headers["X-Frame-Options"] == "DENY"
    for method in ("POST", "HEAD", "PUT"):
        query = urlencode((iss, sid))
        assert (await mine.request(method, f"{PATH}?{query}")).status == 405
    assert await signed_in(mine)


async def test_a_provider_that_was_never_reached_may_frame_it_too(place: Place) -> None:
    await known(place)
    await place.provider.stop()
    await place.start_proxy()
    answer = await framed(place.browser(), ("iss", place.provider.issuer), ("sid", "x"))
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors http://127.0.0.1:{place.provider.port}")


async def test_pages_of_the_provider_elsewhere_may_frame_it() -> None:
    elsewhere = "https://login.example.org/logout"
    async with Place(provider={"end_session_endpoint": elsewhere}) as place:
        answer = await framed(place.browser(), ("iss", place.provider.issuer), ("sid", "x"))
        origins = f"http://127.0.0.1:{place.provider.port} https://login.example.org"
        assert answer.headers["Content-Security-Policy"].endswith(f"frame-ancestors {origins}")
