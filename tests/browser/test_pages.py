"""Every page of ours in Chromium: no complaint, two languages, two palettes, every width."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Page, expect

from proxy.config.sign_in import Login
from tests.browser.conftest import NewContext
from tests.browser.providers import EMBEDDED
from tests.browser.stage import Stage, stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.parametrize("place", [EMBEDDED], indirect=True),
]

LUMINANCE = """() => {
  const of = (css) => {
    const [r, g, b] = css.match(/[\\d.]+/g).map(Number);
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
  };
  const main = getComputedStyle(document.querySelector("main"));
  return [of(getComputedStyle(document.body).backgroundColor), of(main.color)];
}"""

PAGES = {
    "sign_in": ("/oauth2/sign_in?rd=/x", 200),
    "signed_out": ("/oauth2/signed_out", 200),
    "sign-in that nobody began": ("/oauth2/callback?code=x&state=y", 403),
    "address that is none": ("/a%2Fb", 400),
    "endpoint that is none": ("/oauth2/nothing", 404),
}


def french() -> dict[str, Any]:
    text = files("proxy.web.pages").joinpath("languages", "fr.json").read_text("utf-8")
    words: dict[str, Any] = json.loads(text)
    return words


@pytest.mark.parametrize(("path", "status"), PAGES.values(), ids=PAGES)
async def test_a_page_is_accessible_and_breaks_no_policy_of_its_own(
    place: Stage, page: Page, watch: Watch, path: str, status: int
) -> None:
    if status >= 400:
        watch.expect(status)
    answer = await page.goto(place.url + path)
    assert answer is not None
    assert answer.status == status
    for width in (1100, 320):  # WCAG 1.4.10: no scrolling sideways at 320 CSS pixels
        await page.set_viewport_size({"width": width, "height": 700})
        assert await accessibility_problems(page) == []
    size = await page.evaluate("document.querySelector('main img').naturalWidth")
    assert size > 0
    styled = await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")
    assert styled == "576px"


async def test_french_and_dark_are_what_the_browser_asks_for(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    words = french()["pages"]["signed_out"]
    brightness = {}
    for scheme in ("light", "dark"):
        context = await new_context(locale="fr-FR", color_scheme=scheme)
        page = await context.new_page()
        await page.goto(f"{place.url}/oauth2/signed_out")
        await expect(page.get_by_role("heading", level=1)).to_have_text(words["title"])
        assert await page.evaluate("document.documentElement.lang") == "fr"
        assert await accessibility_problems(page) == []
        brightness[scheme] = await page.evaluate(LUMINANCE)
    (paper, ink), (night, chalk) = brightness["light"], brightness["dark"]
    assert paper > 0.8 > 0.3 > ink
    assert night < 0.2 < 0.7 < chalk


async def test_the_wrong_name_of_this_machine_leads_to_the_right_one(
    place: Stage, page: Page, watch: Watch
) -> None:
    other = place.url.replace("localhost", "127.0.0.1")
    watch.expect(421)
    watch.also(other)
    answer = await page.goto(f"{other}/?m=1")
    assert answer is not None
    assert answer.status == 421
    assert await accessibility_problems(page) == []
    await expect(page.get_by_text("bad_host")).to_be_visible()
    await page.locator(f"a[href='{place.url}/']").click()
    await place.fill_in(page, "alice")
    await expect(page).to_have_url(f"{place.url}/")


async def test_a_browser_that_loses_our_cookies_gets_a_page_instead_of_a_loop(
    place: Stage, page: Page, watch: Watch
) -> None:
    watch.expect(403)
    await page.context.add_cookies([{"name": "auth_proxy_bounces", "value": "3", "url": place.url}])
    await page.goto(f"{place.url}/?m=3")
    await expect(page.get_by_text(place.url, exact=True)).to_be_visible()
    assert await accessibility_problems(page) == []
    await page.get_by_role("link", name="Try again").click()
    await place.fill_in(page, "alice")
    await expect(page).to_have_url(f"{place.url}/?m=3")


async def test_the_keyboard_alone_is_enough_on_the_denied_page(
    place: Stage, page: Page, watch: Watch
) -> None:
    watch.expect(403)
    await place.sign_in(page, "mallory")
    button = page.get_by_role("button", name="Sign out and use another account")
    await page.keyboard.press("Tab")
    await expect(button).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(place.signed_out)


async def test_closed_sign_ins_have_their_page(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    async with stage(EMBEDDED, login=Login(enabled=False)) as closed:
        watch.also(closed.url)
        watch.expect(503)
        page = await (await new_context()).new_page()
        answer = await page.goto(closed.url)
        assert answer is not None
        assert answer.status == 503
        assert await accessibility_problems(page) == []
