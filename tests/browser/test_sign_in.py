"""Signing in with a real browser, at the certified provider and at the embedded one."""

from __future__ import annotations

import json
import re
import time

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.conftest import NewContext
from tests.browser.providers import EMBEDDED, NPM
from tests.browser.stage import Stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = pytest.mark.asyncio(loop_scope="package")
one_provider = pytest.mark.parametrize("place", [EMBEDDED], indirect=True)

FETCH = """async (path) => {
  const answer = await fetch(path, {redirect: "manual"});
  return {status: answer.status, type: answer.type, body: await answer.json()};
}"""


async def test_a_first_visit_ends_on_the_deep_link_signed_in(place: Stage, page: Page) -> None:
    path = "/?m=1&q=caf%C3%A9%20%26%20co"
    await page.goto(place.url + path)
    await expect(page).to_have_url(re.compile("^" + re.escape(place.provider.issuer)))
    await place.fill_in(page, "alice")
    await expect(page).to_have_url(place.url + path)


async def test_the_playground_shows_the_identity_that_it_verified(place: Stage, page: Page) -> None:
    await place.sign_in(page, "alice")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Alice Martin")
    await expect(page.locator("#email")).to_have_text("alice@example.org")
    await expect(page.get_by_label("Groups").get_by_role("listitem")).to_have_text(
        ["admins", "dev"]
    )
    await expect(page.get_by_text("Identity verified")).to_be_visible()
    claims = page.get_by_role("table")
    expected: dict[str, str | re.Pattern[str]] = {
        "sub": re.compile("^alice"),
        "iss": place.url,
        "aud": "api",
        "scope": "playground",
        "idp_iss": place.provider.issuer,
        "groups": "admins, dev",
    }
    for claim, value in expected.items():
        row = claims.get_by_role("row").filter(has=page.get_by_text(claim, exact=True))
        await expect(row.get_by_role("cell")).to_have_text(value)
    assert await accessibility_problems(page) == []


async def test_what_the_application_gets_holds_no_cookie_of_ours_and_one_identity(
    place: Stage, page: Page
) -> None:
    await place.sign_in(page, "bob", "/whoami")
    shown = json.loads(await page.locator("body").inner_text())
    assert not [name for name in shown["cookies"] if name.startswith("auth_proxy")]
    assert shown["claims"]["email"] == "bob@example.org"
    assert shown["headers"]["X-Forwarded-Email"] == ["bob@example.org"]
    assert shown["headers"]["X-Forwarded-Groups"] == ["dev"]


async def test_two_tabs_that_began_before_either_finished_both_arrive(
    place: Stage, context: BrowserContext
) -> None:
    first, second = await context.new_page(), await context.new_page()
    await first.goto(f"{place.url}/?tab=1")
    await second.goto(f"{place.url}/?tab=2")
    begun = [c["name"] for c in await context.cookies(place.url) if "_login_" in c["name"]]
    assert len(begun) == 2
    await place.fill_in(first, "alice")
    await expect(first).to_have_url(f"{place.url}/?tab=1")
    await place.fill_in(second, "alice", allowed=True)
    await expect(second).to_have_url(f"{place.url}/?tab=2")
    for tab in (first, second):
        await expect(tab.get_by_role("heading", level=1)).to_have_text("Alice Martin")
    names = {cookie["name"] for cookie in await context.cookies(place.url)}
    assert "auth_proxy" in names
    assert not [name for name in names if "_login_" in name]


@one_provider
async def test_the_browser_keeps_our_cookies_from_scripts_and_from_other_sites(
    place: Stage, context: BrowserContext, page: Page
) -> None:
    await place.sign_in(page, "alice")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Alice Martin")
    ours = [c for c in await context.cookies(place.url) if c["name"].startswith("auth_proxy")]
    assert [cookie["name"] for cookie in ours] == ["auth_proxy"]
    (session,) = ours
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"
    assert (session["domain"], session["path"]) == ("localhost", "/")
    assert 11 * 3600 < session["expires"] - time.time() <= 12 * 3600
    assert await page.evaluate("document.cookie") == ""


@one_provider
async def test_a_new_session_replaces_the_one_before(
    place: Stage, context: BrowserContext, page: Page
) -> None:
    async def session() -> str:
        cookies = await context.cookies(place.url)
        return next(c.get("value", "") for c in cookies if c["name"] == "auth_proxy")

    await place.sign_in(page, "alice")
    before = await session()
    await page.goto(f"{place.url}/oauth2/start?rd=/%3Fagain%3D1")
    await expect(page).to_have_url(f"{place.url}/?again=1")
    assert await session() != before


@one_provider
async def test_a_script_without_a_session_is_told_so_in_json(
    place: Stage, page: Page, watch: Watch
) -> None:
    watch.expect(401)
    await page.goto(f"{place.url}/ping")  # a page of this origin, open to all, without a policy
    answer = await page.evaluate(FETCH, "/whoami")
    assert (answer["status"], answer["type"]) == (401, "basic")
    assert answer["body"]["error"] == "no_session"
    assert answer["body"]["login_url"] == f"{place.url}/oauth2/start"
    cookies = await page.context.cookies(place.url)
    assert cookies == []


@pytest.mark.parametrize("place", [NPM], indirect=True)
async def test_who_cancels_at_the_provider_gets_a_page_and_may_try_again(
    place: Stage, page: Page, watch: Watch
) -> None:
    watch.expect(403)
    await page.goto(f"{place.url}/?m=4")
    await page.get_by_role("link", name="Cancel").click()
    await expect(page.get_by_text("provider_denied")).to_be_visible()
    assert await accessibility_problems(page) == []
    await page.get_by_role("link", name="Try again").click()
    await place.fill_in(page, "alice")
    await expect(page).to_have_url(f"{place.url}/?m=4")


@one_provider
async def test_the_sign_in_page_leads_to_the_provider_and_on(place: Stage, page: Page) -> None:
    await page.goto(f"{place.url}/oauth2/sign_in?rd=/%3Fm%3D2")
    assert await accessibility_problems(page) == []
    await page.get_by_role("link", name="Sign in").click()
    await place.fill_in(page, "bob")
    await expect(page).to_have_url(f"{place.url}/?m=2")


async def test_a_callback_taken_elsewhere_or_used_twice_signs_nobody_in(
    place: Stage, page: Page, new_context: NewContext, watch: Watch
) -> None:
    watch.expect(403)
    await page.goto(f"{place.url}/?m=1")
    async with page.expect_request(f"{place.url}/oauth2/callback?*") as returning:
        await place.fill_in(page, "alice")
    callback = (await returning.value).url
    await expect(page).to_have_url(f"{place.url}/?m=1")
    for tab in (await (await new_context()).new_page(), page):
        answer = await tab.goto(callback)
        assert answer is not None
        assert answer.status == 403
        await expect(tab.get_by_text("attempt_missing")).to_be_visible()
        assert await accessibility_problems(tab) == []
        sessions = [c for c in await tab.context.cookies(place.url) if c["name"] == "auth_proxy"]
        assert len(sessions) == (1 if tab is page else 0)
