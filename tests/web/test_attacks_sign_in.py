"""Attacks on sign-in and refresh: ways that once led past a hook, a rule or an end, and some that
never did."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from proxy.demo.people import ALICE
from tests.web.place import Browser, Place

REFRESH: dict[str, Any] = {"session": {"refresh_every": "10m", "lifetime": "10h"}}
HOOK = """
from dataclasses import replace
from proxy.model import Admission

async def admit(identity, claims):
    return Admission(replace(identity, user="seat-7", role="guest"), max_age=1800)
"""


def _hooks(folder: Path) -> dict[str, str]:
    (folder / "seats.py").write_text(HOOK, encoding="utf-8")
    return {"post_login": "seats:admit", "folder": str(folder)}


async def _refreshed(place: Place, browser: Browser, *faults: str) -> None:
    """Let it be refreshed, by a provider with these faults."""
    place.provider.misbehave(*faults)
    place.clock.advance(601)
    await browser.get("/")
    place.provider.behave()


async def test_a_refresh_without_acr_does_not_lead_past_the_hook(tmp_path: Path) -> None:
    """The rules were asked before what the sign-in had proven was put back: they refused, so that
    the hook was not asked, and let the person in as the provider describes them."""
    access = {"acr_values": ["1"]}
    async with Place(hooks=_hooks(tmp_path), access=access, **REFRESH) as place:
        browser = place.browser()
        await browser.sign_in()
        await browser.get("/")
        assert (await place.identity())["sub"] == "seat-7"
        await _refreshed(place, browser, "id_token_missing_acr")
        assert (await browser.get("/")).status == 200
        assert (await place.identity())["sub"] == "seat-7"
        place.clock.advance(1200)
        assert (await browser.get("/", page=False)).status == 401  # the hook's end


async def test_who_was_refused_at_a_refresh_does_not_come_back_without_the_hook(
    tmp_path: Path,
) -> None:
    listed = tmp_path / "people.txt"
    listed.write_text("alice@example.org\n", encoding="utf-8")
    access = {"emails_file": str(listed)}
    async with Place(hooks=_hooks(tmp_path), access=access, **REFRESH) as place:
        browser = place.browser()
        await browser.sign_in()
        files = place.app.parts.runtime.lists
        listed.write_text("bob@example.org\n", encoding="utf-8")
        _reread(files)
        await _refreshed(place, browser)
        listed.write_text("alice@example.org\nbob@example.org\n", encoding="utf-8")
        _reread(files)
        assert (await browser.get("/", page=False)).status == 401


async def test_a_refresh_without_an_id_token_takes_back_nothing_that_it_said() -> None:
    """What userinfo leaves out is then not known; it was taken for what is not so."""
    routes = [{"path": "/open/*", "rule": {"not": [{"groups": {"any": ["admins"]}}]}}]
    async with Place(routes=routes, **REFRESH) as place:
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"groups": ["staff"]}
        browser = place.browser()
        await browser.sign_in()
        assert (await browser.get("/open/x", page=False)).status == 403
        await _refreshed(place, browser, "token_id_token_missing")
        assert (await browser.get("/open/x", page=False)).status == 403


async def test_a_refresh_without_the_declared_end_does_not_take_it_back() -> None:
    end = {"end_claim": "until", **REFRESH["session"]}
    async with Place(session=end) as place:
        until = place.clock() + 1800
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"until": until}
        browser = place.browser()
        await browser.sign_in()
        place.provider.behaviour.userinfo_change = dict
        await _refreshed(place, browser)
        place.clock.advance(1200)
        assert (await browser.get("/", page=False)).status == 401


def _reread(files: Any) -> None:
    files.refresh(lambda *_: None)


TWO: list[dict[str, Any]] = [{"name": "staff"}, {"name": "guests"}]


async def test_sessions_end_with_the_provider_that_vouched_for_them() -> None:
    """Who took a provider out of the list had its people in until their sessions were over."""
    async with Place(providers=TWO) as place:
        guest, member = place.browser(), place.browser()
        await guest.sign_in(provider="guests")
        await member.sign_in(provider="staff")
        await place.start_proxy(providers=[{"name": "staff"}])
        assert (await guest.get("/", page=False)).status == 401
        assert (await member.get("/", page=False)).status == 200


async def test_a_provider_does_not_inherit_the_people_of_its_namesake() -> None:
    routes = [{"path": "/staff/*", "rule": {"providers": ["staff"]}}]
    async with Place(providers=TWO, routes=routes) as place:
        browser = place.browser()
        await browser.sign_in(provider="staff")
        assert (await browser.get("/staff/x", page=False)).status == 200
        other = place.idps["guests"].issuer
        await place.start_proxy(providers=[{"name": "staff", "issuer_url": other}])
        assert (await browser.get("/staff/x", page=False)).status == 401


async def test_a_group_of_one_provider_need_not_make_administrators_of_another() -> None:
    """Anybody can make a group, or an organisation at GitHub, that is named like one of ours."""
    roles = [
        {"name": "admin", "groups": ["admins"], "providers": ["staff"]},
        {"name": "guest", "providers": ["guests"]},
    ]
    more: dict[str, Any] = {
        "roles": roles,
        "default_role": "guest",
        "identity": {"claims": ["role"]},
    }
    async with Place(providers=TWO, **more) as place:
        for provider, role in (("staff", "admin"), ("guests", "guest")):
            browser = place.browser()
            await browser.sign_in(provider=provider)
            await browser.get("/")
            assert (await place.identity())["role"] == role


async def test_groups_that_are_told_elsewhere_are_not_known() -> None:
    """Entra says so of people in many groups, where Graph is not asked (graph_groups: never)."""
    routes = [{"path": "/open/*", "rule": {"not": [{"groups": {"any": ["blocked"]}}]}}]
    sources = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "x"}}}
    async with Place(routes=routes) as place:
        browser = place.browser()
        await browser.sign_in()
        assert (await browser.get("/open/x", page=False)).status == 200
        place.provider.behaviour.userinfo_change = lambda claims: claims | sources
        await browser.sign_in("/oauth2/start")
        assert (await browser.get("/open/x", page=False)).status == 403


async def test_deep_claims_are_a_hook_that_fails_and_cost_no_session(tmp_path: Path) -> None:
    """The copy for the hook ended in a RecursionError, after the refresh token was used up."""
    deep: Any = "x"
    for _ in range(600):
        deep = [deep]
    async with Place(hooks=_hooks(tmp_path), **REFRESH) as place:
        browser = place.browser()
        await browser.sign_in()
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"deep": deep}
        await _refreshed(place, browser)
        assert (await browser.get("/", page=False)).status == 200
        await browser.get("/")
        assert (await place.identity())["sub"] == "seat-7"
        refused = await place.browser().sign_in()
        assert refused.status == 500
        assert "hook_failed" in refused.text


async def test_a_sign_out_by_the_provider_ends_a_sign_in_that_a_hook_holds_up(
    tmp_path: Path,
) -> None:
    slow = "import asyncio\ngo = asyncio.Event()\nhere = asyncio.Event()\n"
    slow += "async def admit(identity, claims):\n    here.set()\n    await go.wait()\n"
    (tmp_path / "slowly.py").write_text(slow, encoding="utf-8")
    hooks = {"post_login": "slowly:admit", "folder": str(tmp_path), "timeout": "30s"}
    async with Place(hooks=hooks) as place:
        module = next(m for name, m in sys.modules.items() if name.endswith(".slowly"))
        browser = place.browser()
        url = await browser.callback_url()
        coming = asyncio.create_task(browser.get(url))
        await asyncio.wait_for(module.here.wait(), 5)
        token = place.provider.logout_token(sub=ALICE.sub)
        told = await place.browser().post(
            "/oauth2/backchannel_logout", page=False, data={"logout_token": token}
        )
        assert told.status == 200
        module.go.set()
        assert (await coming).status == 403
        assert (await browser.get("/", page=False)).status == 401


async def test_a_debug_sign_in_is_nothing_once_debugging_is_switched_off() -> None:
    debug = {"enabled": True, "roles": ["admin"]}
    roles = [{"name": "admin", "groups": ["admins"]}]
    async with Place(debug=debug, roles=roles) as place:
        browser = place.browser()
        await browser.sign_in()
        before = browser.session
        page = json.loads((await browser.get("/oauth2/debug", page=False)).body)
        begun = await browser.post(
            "/oauth2/debug",
            data={"token": page["token"]},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert begun.status == 303
        place.provider.forget()
        back = await place.provider.sign_in(begun.location, "bob")
        await place.start_proxy(debug={"enabled": False})
        shown = await browser.get(back)
        assert shown.status in (403, 404)
        assert "bob" not in shown.text
        assert browser.session == before
