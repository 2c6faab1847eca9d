"""People see and end their own sessions in a real browser, without any script."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewContext
from tests.browser.providers import EMBEDDED
from tests.browser.stage import Stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.parametrize("place", [EMBEDDED], indirect=True),
]

PATH = "/oauth2/sessions"


async def signed_in(place: Stage, new_context: NewContext, login: str = "alice") -> Page:
    page = await (await new_context()).new_page()
    await place.sign_in(page, login)
    return page


async def start_over(place: Stage, page: Page) -> None:
    """End what other tests left of the person's sessions."""
    await page.goto(place.url + PATH)
    others = page.get_by_role("button", name="End all other sessions")
    if await others.count():
        await others.click()
    await expect(page.get_by_text("You are signed in nowhere else.")).to_be_visible()


async def is_in(place: Stage, page: Page) -> bool:
    """Asked as a script would: a page would sign in again, since the provider remembers."""
    answer = await page.request.get(f"{place.url}/oauth2/userinfo")
    return answer.status == 200


async def is_out(place: Stage, page: Page) -> None:
    async with asyncio.timeout(5):
        while await is_in(place, page):
            pass


async def test_a_session_is_ended_from_another_browser(
    place: Stage, new_context: NewContext
) -> None:
    mine = await signed_in(place, new_context)
    await start_over(place, mine)
    other = await signed_in(place, new_context)
    await mine.goto(place.url + PATH)
    entries = mine.get_by_role("listitem")
    await expect(entries).to_have_count(2)
    await expect(entries.nth(0)).to_contain_text("Chrome on Linux")
    await expect(entries.nth(0)).to_contain_text("This browser")
    await mine.get_by_role("button", name="End session Chrome on Linux").click()
    await expect(mine).to_have_url(f"{place.url}{PATH}?done")
    await expect(mine.get_by_role("status")).to_contain_text("Done.")
    await expect(entries).to_have_count(1)
    await is_out(place, other)
    assert await is_in(place, mine)


async def test_no_script_is_needed_to_end_all_others(place: Stage, new_context: NewContext) -> None:
    others = [await signed_in(place, new_context) for _ in range(2)]
    first = await signed_in(place, new_context)
    plain = await new_context(java_script_enabled=False)
    cookies = await first.context.cookies(place.url)
    kept = [c for c in cookies if c["name"].startswith("auth_proxy")]
    await plain.add_cookies(
        [{"name": c["name"], "value": c["value"], "url": place.url} for c in kept]
    )
    page = await plain.new_page()
    await page.goto(place.url + PATH)
    await page.get_by_role("button", name="End all other sessions").click()
    await expect(page).to_have_url(f"{place.url}{PATH}?done")
    await expect(page.get_by_role("listitem")).to_have_count(1)
    for other in others:
        await is_out(place, other)


async def test_ending_this_one_signs_out_here_and_at_the_provider(
    place: Stage, new_context: NewContext
) -> None:
    page = await (await new_context()).new_page()
    await page.goto(place.url + PATH)
    await place.fill_in(page, "bob")  # and back to the page that was asked for
    await expect(page).to_have_url(place.url + PATH)
    await page.get_by_role("button", name="Sign out Chrome on Linux").click()
    await place.provider.confirm_sign_out(page)
    await expect(page).to_have_url(place.signed_out)


async def test_another_site_cannot_end_anything(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    watch.expect(403)
    page = await signed_in(place, new_context)
    await page.goto(place.provider.issuer + "/.well-known/openid-configuration")
    form = f"""() => {{
      const form = document.createElement("form");
      form.method = "post";
      form.action = "{place.url}{PATH}";
      form.innerHTML = "<input name=end value=others>";
      document.documentElement.append(form);
      form.submit();
    }}"""
    async with page.expect_navigation() as went:
        await page.evaluate(form)
    answer = await went.value
    assert answer.status == 403
    assert await is_in(place, page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390, 320])
async def test_the_page_is_accessible_at_every_width(
    place: Stage, new_context: NewContext, width: int, scheme: str
) -> None:
    context = await new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale="fr-FR"
    )
    page = await context.new_page()
    await place.sign_in(page, "alice", PATH)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vos sessions")
    await expect(page.get_by_text("Ce navigateur")).to_be_visible()
    assert await accessibility_problems(page) == []
