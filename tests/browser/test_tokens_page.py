"""People make and revoke tokens in a real browser, without any script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from proxy.config.keeping import SessionSettings
from proxy.config.programs import Tokens
from proxy.demo.people import User
from tests.browser.conftest import NewContext
from tests.browser.providers import EMBEDDED
from tests.browser.stage import Stage, stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = pytest.mark.asyncio(loop_scope="package")

PATH = "/oauth2/tokens"
GROUPS = tuple(f"group-{number}" for number in range(60))
MANY = User("many", "00-many", "Many Groups", "Many", "Groups", "many@example.org", groups=GROUPS)


@pytest_asyncio.fixture(scope="module", loop_scope="package", name="place")
async def _place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("tokens")
    changes: dict[str, Any] = {
        "session": SessionSettings(file=str(folder / "kept.db")),
        "tokens": Tokens(personal=True, scopes=("read", "write"), max_per_person=3),
    }
    async with stage(EMBEDDED, (MANY,), **changes) as running:
        yield running


async def make(page: Page, name: str) -> str:
    """Fill in the form; returns the token."""
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Make the token").click()
    await expect(page.get_by_role("status")).to_contain_text(f"Your new token: {name}")
    return await page.locator(".secret code").inner_text()


async def status(page: Page, place: Stage, secret: str) -> int:
    """What a program gets with the token."""
    context = await page.context.browser.new_context()  # type: ignore[union-attr]
    answer = await context.request.get(
        f"{place.url}/oauth2/userinfo", headers={"Authorization": f"Bearer {secret}"}
    )
    await context.close()
    return answer.status


async def test_a_token_is_made_used_and_revoked_without_any_script(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    page = await (await new_context(java_script_enabled=False)).new_page()
    await place.sign_in(page, "alice", PATH)
    await expect(page.get_by_text("You have no tokens.")).to_be_visible()
    secret = await make(page, "laptop")
    assert page.url == place.url + PATH
    assert await status(page, place, secret) == 200
    await page.goto(place.url + PATH)
    await expect(page.get_by_text("laptop")).to_be_visible()
    assert secret not in await page.content()
    await expect(page.get_by_role("listitem").first).to_contain_text("just now")
    await page.get_by_role("button", name="Revoke laptop").click()
    await expect(page).to_have_url(f"{place.url}{PATH}?done")
    await expect(page.get_by_role("status")).to_contain_text("Done.")
    assert await status(page, place, secret) == 401


async def test_some_groups_are_chosen_by_keyboard(place: Stage, new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await place.sign_in(page, "alice", PATH)
    await page.get_by_label("Name").fill("keys")
    groups = page.get_by_role("group", name="Groups")
    await groups.get_by_role("radio", name="Only these groups:").focus()
    await page.keyboard.press("Space")
    box = groups.get_by_role("checkbox").first
    await box.focus()
    await page.keyboard.press("Space")
    chosen = await box.input_value()
    await page.get_by_label("Name").press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("keys")
    entry = page.get_by_role("listitem").filter(has_text="keys").first
    await expect(entry).to_contain_text(chosen)
    await page.get_by_role("button", name="Revoke keys").click()


async def test_a_choice_that_contradicts_itself_makes_nothing(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    watch.expect(400)
    page = await (await new_context()).new_page()
    await place.sign_in(page, "bob", PATH)
    await page.get_by_label("Name").fill("odd")
    await page.get_by_role("group", name="Permissions").get_by_role("checkbox").first.check()
    await page.get_by_role("button", name="Make the token").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was made")
    await expect(page.get_by_label("Name")).to_have_value("odd")
    await expect(page.get_by_text("You have no tokens.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390, 320])
async def test_the_page_is_accessible_at_every_width(
    place: Stage, new_context: NewContext, width: int, scheme: str, tmp_path: Path
) -> None:
    context = await new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale="fr-FR"
    )
    page = await context.new_page()
    await place.sign_in(page, "many", PATH)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vos jetons")
    assert await accessibility_problems(page) == []
    await page.get_by_label("Nom").fill("ordinateur")
    await page.get_by_role("button", name="Créer le jeton").click()
    await expect(page.get_by_role("status")).to_contain_text("ordinateur")
    assert await accessibility_problems(page) == []
    await page.screenshot(path=tmp_path / "made.png", full_page=True)
    await page.get_by_role("button", name="Révoquer ordinateur").click()
