"""People sign in terminals in a real browser, without any script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from proxy.config.keeping import SessionSettings
from proxy.config.programs import Tokens
from tests.browser.conftest import NewContext
from tests.browser.providers import EMBEDDED
from tests.browser.stage import Stage, stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = pytest.mark.asyncio(loop_scope="package")

PATH = "/oauth2/device"


@pytest_asyncio.fixture(scope="module", loop_scope="package", name="place")
async def _place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("terminals")
    changes: dict[str, Any] = {
        "session": SessionSettings(file=str(folder / "kept.db")),
        "tokens": Tokens(terminal=True),
    }
    async with stage(EMBEDDED, **changes) as running:
        yield running


async def begun(page: Page, place: Stage) -> dict[str, Any]:
    answer = await page.context.request.post(f"{place.url}/oauth2/cli/start")
    found: dict[str, Any] = await answer.json()
    return found


async def polled(page: Page, place: Stage, terminal: dict[str, Any]) -> dict[str, Any]:
    headers = {"X-Poll-Secret": terminal["poll_secret"]}
    path = f"{place.url}/oauth2/cli/poll/{terminal['login_id']}"
    found: dict[str, Any] = await (await page.context.request.get(path, headers=headers)).json()
    return found


@pytest.mark.parametrize(("button", "title"), [("Allow", "may sign in"), ("Refuse", "refused")])
async def test_a_person_types_the_code_and_decides(
    place: Stage, new_context: NewContext, watch: Watch, button: str, title: str
) -> None:
    page = await (await new_context(java_script_enabled=False)).new_page()
    await place.sign_in(page, "alice")
    terminal = await begun(page, place)
    await page.goto(place.url + PATH)
    await page.get_by_label("Code").fill(terminal["user_code"].lower())
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(
        "Allow this terminal to sign in?"
    )
    await page.get_by_role("button", name=button).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    found = await polled(page, place, terminal)
    assert found["status"] == ("ready" if button == "Allow" else "denied")


async def test_the_pages_can_be_used_by_everybody(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    page = await (await new_context()).new_page()
    await place.sign_in(page, "alice")
    terminal = await begun(page, place)
    await page.goto(place.url + PATH)
    assert await accessibility_problems(page) == []
    await page.get_by_label("Code").fill(terminal["user_code"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Allow")).to_be_visible()
    assert await accessibility_problems(page) == []
    await page.get_by_role("button", name="Allow").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("may sign in")
    assert await accessibility_problems(page) == []
