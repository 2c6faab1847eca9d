"""Refresh: one flight for all who wait, faults end nothing, disbelief ends the session."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.web.place import Place

EVERY: dict[str, Any] = {"session": {"refresh_every": "10m"}}


async def test_requests_that_wait_share_one_call() -> None:
    async with Place(**EVERY) as place:
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(600)
        place.provider.misbehave("token_hang")
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(browser.get(f"/{n}", page=False)) for n in range(50)]
            await asyncio.wait_for(place.provider.behaviour.reached.wait(), 5)
            assert place.upstream.seen == []
            place.provider.behave()
        assert {task.result().status for task in asking} == {200}
        assert place.provider.calls["token"] == 2


async def test_a_client_that_leaves_does_not_lose_the_rotated_token() -> None:
    async with Place(**EVERY) as place:
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(600)
        place.provider.misbehave("token_hang")
        leaving = asyncio.create_task(browser.get("/"))
        await asyncio.wait_for(place.provider.behaviour.reached.wait(), 5)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        place.provider.behave()
        assert (await browser.get("/")).status == 200
        assert place.provider.calls["token"] == 2


async def test_without_refresh_every_no_refresh_token_is_kept() -> None:
    async with Place() as place:
        browser = place.browser()
        await browser.sign_in()
        assert browser.session is not None
        kept = await place.app.parts.keeping.store.load(browser.session, place.clock())
        assert kept is not None
        session = kept.session
        assert session.tokens.refresh_token == ""
        assert session.refresh_at is None


async def test_an_idle_renewal_does_not_lead_back_to_the_used_up_token() -> None:
    """Two cookies of one session: the refresh of one must be seen through the other."""
    async with Place(session={"refresh_every": "1h", "idle_timeout": "2h"}) as place:
        first = place.browser()
        await first.sign_in()
        second = place.browser()
        second.cookies = dict(first.cookies)
        place.clock.advance(1800)
        await second.get("/")
        assert second.session != first.session
        place.clock.advance(1800)
        assert (await first.get("/")).status == 200
        assert (await second.get("/")).status == 200
        assert place.provider.calls["token"] == 2


async def test_forward_auth_refreshes_too() -> None:
    async with Place(**EVERY) as place:
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(600)
        answer = await browser.get("/oauth2/auth", page=False)
        assert answer.status == 202
        assert place.provider.calls["token"] == 2
        assert any(line.startswith("__Host-auth_proxy=") for line in answer.set_cookies)
