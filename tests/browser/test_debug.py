"""An administrator looks into sign-ins in a real browser: without a script, at any width."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from proxy.config.access import Access, Groups, Rule
from proxy.config.person import Role
from proxy.config.settings import Route
from proxy.config.sign_in import Debug
from proxy.demo.people import User
from tests.browser.conftest import NewContext
from tests.browser.providers import EMBEDDED
from tests.browser.stage import Stage, stage
from tests.browser.watch import Watch, accessibility_problems

pytestmark = pytest.mark.asyncio(loop_scope="package")

PATH = "/oauth2/debug"
INERT = "</script><script>document.title='owned'</script>"
EVE = User(
    username="eve",
    sub="eve-0c11f2",
    name=f"Eve {INERT}",
    given_name="<img src=x onerror=\"document.title='owned'\">",
    family_name="Éve",
    email="eve@example.org",
    groups=("dev", INERT, "a-group-with-a-very-long-name-" * 12, "\u202esnimda"),
    listed=False,
)
ROUTES = (
    Route(path="/dev/*", rule=Rule(groups=Groups(any=("dev",)))),
    Route(path="/admin/*", rule=Rule(name="administrators", roles=("admin",))),
    Route(path="/open/*", access=Access.PUBLIC),
)


@pytest_asyncio.fixture(scope="module", loop_scope="package", name="place")
async def _place() -> AsyncIterator[Stage]:
    """A stage of its own, where alice may look."""
    roles = (Role(name="admin", groups=("admins",)), Role(name="user", groups=("dev",)))
    debug = Debug(enabled=True, roles=("admin",))
    async with stage(EMBEDDED, (EVE,), roles=roles, debug=debug, routes=ROUTES) as running:
        yield running


async def looked_into(place: Stage, context: BrowserContext, who: str = "eve") -> Page:
    """Alice sees the findings of somebody's sign-in: the provider forgets her, we do not."""
    page = await context.new_page()
    await place.sign_in(page, "alice", PATH)
    kept = [cookie for cookie in await context.cookies() if "auth_proxy" in cookie["name"]]
    await context.clear_cookies()
    await context.add_cookies(kept)  # type: ignore[arg-type]
    await page.get_by_role("button").click()
    await place.fill_in(page, who)
    await page.wait_for_url(f"{place.url}/**")
    return page


async def test_what_a_provider_says_is_shown_and_runs_nothing(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    context = await new_context()
    page = await looked_into(place, context)
    await expect(page).to_have_title("What the sign-in brought")
    await expect(page.get_by_role("status")).to_have_text("Let in")
    await expect(page.get_by_text(INERT).first).to_be_visible()
    assert await page.locator("script, main img[src=x]").count() == 0
    assert "\u202e" not in await page.content()
    routes = page.get_by_role("region", name="Routes, as a browser gets them")
    await expect(routes).to_contain_text("administrators")
    answer = await page.request.get(f"{place.url}/oauth2/userinfo")
    assert (await answer.json())["email"] == "alice@example.org"
    (line,) = place.logged("debug_sign_in")
    assert (line["email"], line["shown_sub"]) == ("alice@example.org", EVE.sub)


async def test_no_script_is_needed_and_the_result_may_be_json(
    place: Stage, new_context: NewContext
) -> None:
    context = await new_context(java_script_enabled=False)
    page = await context.new_page()
    await place.sign_in(page, "alice", PATH)
    await page.get_by_label("Show the result as JSON").check()
    await page.get_by_role("button").click()  # the provider knows who that is
    await page.wait_for_url(f"{place.url}/oauth2/callback**")
    shown = json.loads(await page.locator("pre").inner_text())
    assert shown["identity"]["email"] == "alice@example.org"
    assert shown["session_begun"] is False


async def test_another_person_is_refused_and_another_site_begins_nothing(
    place: Stage, new_context: NewContext, watch: Watch
) -> None:
    watch.expect(403)
    page = await (await new_context()).new_page()
    await place.sign_in(page, "bob", PATH)
    await expect(page.get_by_text("role_not_allowed")).to_be_visible()
    admin = await (await new_context()).new_page()
    await place.sign_in(admin, "alice")
    await admin.goto(place.provider.issuer.replace("localhost", "127.0.0.1") + "/jwks")
    form = f"""() => {{
      const form = document.createElement("form");
      form.method = "post";
      form.action = "{place.url}{PATH}";
      document.documentElement.append(form);
      form.submit();
    }}"""
    async with admin.expect_navigation() as went:
        await admin.evaluate(form)
    assert (await went.value).status == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390, 320])
async def test_both_pages_are_accessible_at_every_width(
    place: Stage, new_context: NewContext, width: int, scheme: str
) -> None:
    context = await new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale="fr-FR"
    )
    page = await looked_into(place, context)
    title = page.get_by_role("heading", level=1)
    await expect(title).to_have_text("Ce que la connexion a apporté")
    assert await accessibility_problems(page) == []
    await page.get_by_role("link", name="Examiner une autre connexion").click()
    await expect(title).to_have_text("Examiner une connexion")
    assert await accessibility_problems(page) == []
