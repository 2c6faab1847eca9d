"""One Chromium and one stage per provider for this whole room; every test has its own context."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.browser.providers import EMBEDDED, NPM
from tests.browser.stage import Stage, stage
from tests.browser.watch import Watch
from tests.conftest import CHROMIUM_FLAGS

PATIENCE = 10_000
"""Milliseconds until something that does not appear has failed to."""

NewContext = Callable[..., Coroutine[Any, Any, BrowserContext]]


@pytest.fixture(autouse=True)
def no_task_left() -> None:
    """Replaces the guard over each test: here the servers go on from one to the next."""


@pytest_asyncio.fixture(scope="package", loop_scope="package", name="browser")
async def _browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "chromium is missing: run the tests with 'make test', or install it"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=chromium, args=list(CHROMIUM_FLAGS)
        )
        yield running
        await running.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package", name="place", params=[EMBEDDED, NPM])
async def _place(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with stage(request.param) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="package", name="watch")
async def _watch(place: Stage) -> AsyncIterator[Watch]:
    """Fails the test when the console complained about a page of ours."""
    watching = Watch(place.url)
    yield watching
    assert watching.complaints == []


@pytest_asyncio.fixture(loop_scope="package", name="new_context")
async def _new_context(browser: Browser, watch: Watch) -> AsyncIterator[NewContext]:
    """Makes another person's browser; options are Playwright's."""
    made: list[BrowserContext] = []

    async def make(**options: Any) -> BrowserContext:
        given = {"locale": "en-US", "viewport": {"width": 1100, "height": 760}, **options}
        context = await browser.new_context(**given)
        context.set_default_timeout(PATIENCE)
        context.on("page", watch.over)
        made.append(context)
        return context

    yield make
    for context in made:
        await context.close()


@pytest_asyncio.fixture(loop_scope="package", name="context")
async def _context(new_context: NewContext) -> BrowserContext:
    return await new_context()


@pytest_asyncio.fixture(loop_scope="package", name="page")
async def _page(context: BrowserContext) -> Page:
    return await context.new_page()
