"""Who is asking: what counts where. The table is tests/scenarios/test_token_matrix.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.web.place import PAGE, Place

WRONG = {"Authorization": "Bearer apx_nothing"}


@pytest_asyncio.fixture(name="place")
async def _place(tmp_path: Path) -> AsyncIterator[Place]:
    settings: dict[str, Any] = {
        "session": {"file": str(tmp_path / "kept.db")},
        "tokens": {"personal": True},
        "routes": [{"path": "/open/*", "access": "public"}, {"path": "/own/*", "bearer": False}],
    }
    async with Place(**settings) as place:
        yield place


async def test_who_comes_with_a_token_is_never_sent_to_a_page(place: Place) -> None:
    answer = await place.browser().request("GET", "/x", headers={**PAGE, **WRONG})
    assert answer.status == 401
    assert "Location" not in answer.headers
    assert "html" not in answer.headers["Content-Type"]


async def test_a_wrong_token_is_not_made_good_by_a_cookie(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in("/")
    assert (await browser.get("/x")).status == 200
    assert (await browser.get("/x", headers=WRONG)).status == 401


async def test_where_tokens_do_not_count_cookies_do_and_nobody_sees_the_token(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in("/")
    assert (await browser.get("/own/x", headers=WRONG)).status == 200
    assert not place.upstream.header("Authorization")


async def test_a_public_route_hands_no_token_of_ours_on(place: Place) -> None:
    for _ in range(2):  # both lanes
        assert (await place.browser().get("/open/x", headers=WRONG)).status == 200
        assert not place.upstream.header("Authorization")
    other = {"Authorization": "Bearer of-the-app"}
    assert (await place.browser().get("/open/x", headers=other)).status == 200
    assert place.upstream.header("Authorization") == ["Bearer of-the-app"]


@pytest.mark.parametrize("path", ["/oauth2/sessions", "/oauth2/tokens"])
async def test_pages_of_ours_do_not_look_at_tokens(place: Place, path: str) -> None:
    browser = place.browser()
    await browser.sign_in("/")
    assert (await browser.get(path, headers=WRONG)).status == 200
