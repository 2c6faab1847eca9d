"""Sign-ins begun: each in a cookie of its own, a few at most, and readable a while after."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from tests.web.place import Browser, Place


def _mine(browser: Browser) -> list[str]:
    return [name for name in browser.cookies if "_login_" in name]


async def test_tabs_do_not_disturb_one_another() -> None:
    async with Place() as place:
        browser = place.browser()
        first = await browser.get("/first")
        second = await browser.get("/second")
        assert len(_mine(browser)) == 2
        for start, path in ((second, "/second"), (first, "/first")):
            back = await browser.get(await place.provider.sign_in(start.location))
            assert (back.status, back.location) == (303, path)
        assert not _mine(browser)


async def test_the_oldest_make_room() -> None:
    async with Place(login={"max_attempts": 3}) as place:
        browser = place.browser()
        starts = []
        for number in range(5):
            starts.append(await browser.get(f"/{number}"))
            place.clock.advance(1)
        assert len(_mine(browser)) == 3
        gone = await browser.get(await place.provider.sign_in(starts[0].location))
        assert gone.status == 403
        kept = await browser.get(await place.provider.sign_in(starts[4].location))
        assert kept.status == 303


async def test_one_that_is_over_still_knows_where_it_led_and_to_whom() -> None:
    providers = [{"name": "one"}, {"name": "two"}]
    async with Place(providers=providers) as place:
        browser = place.browser()
        url = await browser.callback_url("/deep?a=1", provider="two")
        place.clock.advance(700)
        page = await browser.get(url)
        assert page.status == 403
        assert "/oauth2/start?rd=/deep%3Fa%3D1&amp;provider=two" in page.text


async def test_what_is_no_attempt_is_cleared_away() -> None:
    async with Place() as place:
        browser = place.browser()
        start = await browser.get("/")
        name = _mine(browser)[0]
        browser.cookies[name] = "broken"
        state = parse_qs(urlsplit(start.location).query)["state"][0]
        answer = await browser.get(f"/oauth2/callback?code=c&state={state}")
        assert answer.status == 403
        await browser.get("/")
        assert len(_mine(browser)) == 1
        assert name not in browser.cookies
