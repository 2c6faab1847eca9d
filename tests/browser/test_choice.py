"""Choosing among several providers, in Chromium: by a button, by an address, by the keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import NewContext
from tests.browser.providers import EMBEDDED
from tests.browser.stage import Stage, stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.parametrize("place", [EMBEDDED], indirect=True),
]


@pytest_asyncio.fixture(loop_scope="package", name="several")
async def _several(place: Stage, watch: Watch) -> AsyncIterator[Stage]:
    """A proxy of its own before the stage's provider, which plays two."""
    async with stage(EMBEDDED, several=True) as found:
        watch.also(found.url)
        yield found


async def test_the_page_is_accessible_at_every_width_and_leads_on(
    several: Stage, page: Page
) -> None:
    await page.goto(f"{several.url}/?m=1")
    await expect(page).to_have_url(f"{several.url}/oauth2/sign_in?rd=%2F%3Fm%3D1")
    for width in (1100, 320):
        await page.set_viewport_size({"width": width, "height": 700})
        assert await accessibility_problems(page) == []
    await page.get_by_role("link", name="Sign in with The guests").click()
    await several.fill_in(page, "bob")
    await expect(page).to_have_url(f"{several.url}/?m=1")


async def test_an_address_and_the_keyboard_are_enough(
    several: Stage, new_context: NewContext
) -> None:
    page = await (await new_context(locale="fr-FR", color_scheme="dark")).new_page()
    await page.goto(f"{several.url}/")
    field = page.get_by_label("Adresse e-mail")
    await field.fill("x@elsewhere.example")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await accessibility_problems(page) == []
    await field.fill("alice@example.org")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{several.provider.issuer}/**")
    await several.fill_in(page, "alice")
    await expect(page).to_have_url(f"{several.url}/")
