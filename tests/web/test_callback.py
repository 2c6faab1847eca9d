"""The return from the provider, beyond what test_login.py and test_login_faults.py show."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.place import Place

ROLES: list[dict[str, Any]] = [
    {"name": "admin", "groups": ["admins"]},
    {"name": "reader", "groups": ["dev"]},
]


async def test_the_role_reaches_the_upstream() -> None:
    headers = {"extra": {"X-Role": "role"}}
    async with Place(roles=ROLES, default_role="guest", headers=headers) as place:
        for user, role in (("alice", "admin"), ("bob", "reader"), ("mallory", "guest")):
            browser = place.browser()
            await browser.sign_in("/", user)
            await browser.get("/")
            assert place.upstream.header("X-Role") == [role]
            assert (await place.identity())["role"] == role


async def test_a_denial_names_its_rule_in_the_log_and_its_remedy_on_the_page() -> None:
    access = {"name": "staff only", "remedy": "Ask <the> desk.", "groups": {"any": ["staff"]}}
    async with Place(access=access) as place:
        page = await place.browser().sign_in("/")
        assert page.status == 403
        assert "Ask &lt;the&gt; desk." in page.text
        line = place.audited("denied")[-1]
        assert (line["reason"], line["rule"]) == ("group_not_allowed", "staff only")


@pytest.mark.parametrize("user", ["alice", "mallory"])
async def test_a_refused_sign_in_leaves_no_attempt_behind(user: str) -> None:
    async with Place(access={"emails": ["nobody@example.org"]}) as place:
        browser = place.browser()
        assert (await browser.sign_in("/", user)).status == 403
        assert not browser.cookies


async def test_extra_claims_of_one_provider_are_kept_and_told() -> None:
    providers = [{"name": "one", "claims": {"extra": ["acr"]}}, {"name": "two"}]
    async with Place(providers=providers) as place:
        browser = place.browser()
        await browser.sign_in("/", provider="one")
        await browser.get("/")
        assert (await place.identity())["acr"] == "1"
