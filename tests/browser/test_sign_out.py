"""Being denied and signing out with a real browser: here, at the provider, and for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from playwright.async_api import BrowserContext, Page, expect

from proxy.demo.run import listening
from tests.browser.providers import EMBEDDED, NPM
from tests.browser.stage import Stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = pytest.mark.asyncio(loop_scope="package")
one_provider = pytest.mark.parametrize("place", [EMBEDDED], indirect=True)
cross_site_provider = pytest.mark.parametrize("place", [NPM], indirect=True)


async def test_a_denied_person_signs_out_and_another_signs_in(
    place: Stage, context: BrowserContext, page: Page, watch: Watch
) -> None:
    watch.expect(403)
    await page.goto(f"{place.url}/?m=1")
    await place.fill_in(page, "mallory")
    await expect(page.get_by_text("mallory@elsewhere.example")).to_be_visible()
    assert await accessibility_problems(page) == []
    names = [cookie["name"] for cookie in await context.cookies(place.url)]
    assert not [name for name in names if name.startswith("auth_proxy")]
    denied = place.logged("denied")[-1]
    assert denied["email"] == "mallory@elsewhere.example"

    await page.get_by_role("button", name="Sign out and use another account").click()
    await place.provider.confirm_sign_out(page)
    await expect(page).to_have_url(place.signed_out)
    await page.get_by_role("link", name="Sign in again").click()
    await place.fill_in(page, "alice")
    await expect(page).to_have_url(f"{place.url}/")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Alice Martin")


async def test_signing_out_lasts_here_and_at_the_provider(
    place: Stage, context: BrowserContext, page: Page
) -> None:
    await place.sign_in(page, "alice")
    async with page.expect_request(f"{place.provider.issuer}/**end**") as asked:
        await page.get_by_role("button", name="Sign out").click()
    assert "id_token_hint=" in (await asked.value).url
    await place.provider.confirm_sign_out(page)
    await expect(page).to_have_url(place.signed_out)
    await page.wait_for_load_state("networkidle")
    await expect(page).to_have_url(place.signed_out)
    await expect(
        page.get_by_text("Your identity provider has ended its session too")
    ).to_be_visible()
    assert await accessibility_problems(page) == []
    names = [cookie["name"] for cookie in await context.cookies(place.url)]
    assert not [name for name in names if name.startswith("auth_proxy")]

    await page.goto(f"{place.url}/?m=2")
    await place.fill_in(page, "bob")  # which asserts that the provider shows its form again
    await expect(page).to_have_url(f"{place.url}/?m=2")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Bob Durand")


@one_provider
async def test_going_back_after_signing_out_shows_nothing_of_the_person(
    place: Stage, page: Page
) -> None:
    await place.sign_in(page, "alice")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Alice Martin")
    await place.sign_out(page)
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Who are you today?")


@one_provider
async def test_a_stolen_cookie_dies_with_the_sign_out(
    place: Stage, context: BrowserContext, page: Page
) -> None:
    await place.sign_in(page, "alice")
    stolen = [c for c in await context.cookies(place.url) if c["name"] == "auth_proxy"]
    await place.sign_out(page)
    await context.add_cookies(
        [{"name": c["name"], "value": c["value"], "url": place.url} for c in stolen]
    )
    await page.goto(place.url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Who are you today?")


@cross_site_provider
async def test_another_site_can_only_lead_to_a_question(
    place: Stage, page: Page, watch: Watch
) -> None:
    """A link from elsewhere asks first, a form from elsewhere is refused (RFC 6265bis 8.8)."""
    watch.expect(403)
    trap = web.Application()
    trap.router.add_get("/", _trap(f"{place.url}/oauth2/sign_out"))
    await place.sign_in(page, "alice")
    async with listening(trap, "127.0.0.1:0") as port:
        elsewhere = f"http://127.0.0.1:{port}/"
        await page.goto(elsewhere)
        await page.get_by_role("button", name="Win").click()
        await expect(page.get_by_text("cross_site")).to_be_visible()
        await page.goto(elsewhere)
        await page.get_by_role("link", name="Win").click()
        await expect(page).to_have_url(f"{place.url}/oauth2/sign_out")
        assert await accessibility_problems(page) == []
        await page.get_by_role("link", name="Stay signed in").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Alice Martin")
        await page.goto(elsewhere)
        await page.get_by_role("link", name="Win").click()
        await place.sign_out(page)


def _trap(target: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    form = f'<form method="post" action="{target}"><button>Win</button></form>'

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f'{form}<a href="{target}">Win</a>', content_type="text/html")

    return answer
