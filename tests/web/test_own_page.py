"""Pages of ours on which people act: the same guard for all of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.web.place import Place

HERE = {"Sec-Fetch-Site": "same-origin"}
PATHS = ("sessions", "tokens", "device", "debug")


@pytest_asyncio.fixture(name="place")
async def _place(tmp_path: Path) -> AsyncIterator[Place]:
    settings: dict[str, Any] = {
        "session": {"file": str(tmp_path / "kept.db")},
        "tokens": {"personal": True, "terminal": True},
        "roles": [{"name": "admin", "groups": ["admins"]}],
        "debug": {"enabled": True, "roles": ["admin"]},
    }
    async with Place(**settings) as place:
        yield place


@pytest.mark.parametrize("name", PATHS)
async def test_strangers_are_sent_to_sign_in_and_programs_told(place: Place, name: str) -> None:
    path = f"/oauth2/{name}"
    sent = await place.browser().get(path)
    assert sent.location.startswith(place.provider.issuer)
    assert (await place.browser().get(path, page=False)).status == 401
    posted = await place.browser().post(path, data={"x": "y"}, headers=HERE)
    assert (posted.status, posted.location) == (303, path)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="a neighbour"),
        pytest.param({"Origin": "https://evil.example"}, id="another origin"),
        pytest.param(HERE, id="without the page's proof"),
        pytest.param({}, id="an old browser, without the proof"),
    ],
)
async def test_a_form_of_somebody_else_does_nothing(
    place: Place, name: str, headers: dict[str, str]
) -> None:
    browser = place.browser()
    await browser.sign_in("/")
    data = {"token": "0" * 64, "end": "others", "make": "yes", "provider": "default"}
    answer = await browser.post(f"/oauth2/{name}", data=data, headers=headers)
    assert answer.status == 403
    assert "cross_site" in answer.text


async def test_the_proof_of_one_page_is_none_on_another(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in("/")
    proofs = {}
    for name in ("sessions", "tokens", "debug"):
        document = json.loads((await browser.get(f"/oauth2/{name}", page=False)).body)
        proofs[name] = document["token"]
    assert len(set(proofs.values())) == 3
    data = {"token": proofs["tokens"], "end": "others"}
    assert (await browser.post("/oauth2/sessions", data=data, headers=HERE)).status == 403
