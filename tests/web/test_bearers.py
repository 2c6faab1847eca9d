"""What bearer tokens stand for, beyond the matrix of tests/scenarios/test_token_matrix.py."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from proxy.crypto.token import make
from proxy.demo.people import ALICE
from proxy.errors import BearerRefused
from proxy.model import Grant
from proxy.session.tokens import Token
from proxy.web.bearers import is_bound_elsewhere
from tests.web.place import Answer, Browser, Place


@pytest_asyncio.fixture(name="place")
async def _place(tmp_path: Path) -> AsyncIterator[Place]:
    async with _settings(tmp_path) as place:
        yield place


def _settings(folder: Path, **more: Any) -> Place:
    given: dict[str, Any] = {
        "session": {"file": str(folder / "kept.db")},
        "tokens": {"personal": True, "scopes": ["read", "write"]},
        "roles": [{"name": "admin", "groups": ["admins"]}, {"name": "dev", "groups": ["dev"]}],
        "access": {"groups": {"any": ["admins", "dev"]}},
    }
    return Place(**(given | more))


async def _made(place: Place, **changes: Any) -> tuple[str, Token]:
    now, text = place.clock(), make("apx", "p", place.world.random)
    token = Token("personal", "t", place.provider.issuer, ALICE.sub, now, now + 86400)
    return text, await place.app.parts.keeping.tokens.create(text, replace(token, **changes), now)


async def _ask(place: Place, text: str, path: str = "/x", **headers: str) -> Answer:
    given = {"Authorization": f"Bearer {text}", **headers}
    return await place.browser().get(path, page=False, headers=given)


def _change(place: Place, *groups: str) -> None:
    """Alice's groups at the provider."""
    users = place.provider.provider.users
    place.provider.provider.users = {**users, "alice": replace(ALICE, groups=groups)}


async def _known(place: Place) -> Browser:
    browser = place.browser()
    await browser.sign_in("/")
    return browser


async def test_a_token_stands_for_its_owner(place: Place) -> None:
    await _known(place)
    text, token = await _made(place)
    assert (await _ask(place, text)).status == 200
    claims = await place.identity()
    assert (claims["sub"], claims["role"]) == (ALICE.sub, "admin")
    assert claims["exp"] <= token.expires_at


async def test_nobody_is_known_before_their_first_sign_in(place: Place) -> None:
    text, _ = await _made(place)
    assert (await _ask(place, text)).status == 401
    await _known(place)
    assert (await _ask(place, text)).status == 200


async def test_a_token_for_some_groups_brings_no_role_of_others(place: Place) -> None:
    await _known(place)
    text, _ = await _made(place, groups=("dev", "never-had"))
    assert (await _ask(place, text)).status == 200
    claims = await place.identity()
    assert (claims["groups"], claims["role"]) == (["dev"], "dev")


async def test_nor_what_they_were_read_from(tmp_path: Path) -> None:
    headers = {"extra": {"X-G": "groups"}}
    more: dict[str, Any] = {"claims": {"extra": ["groups"]}, "headers": headers}
    rule = {"path": "/all/*", "rule": {"claims": [{"claim": "groups", "any_of": ["admins"]}]}}
    async with _settings(tmp_path, routes=[rule], **more) as place:
        await _known(place)
        whole, _ = await _made(place)
        part, _ = await _made(place, groups=("dev",))
        assert (await _ask(place, whole, "/all/x")).status == 200
        assert (await _ask(place, part, "/all/x")).status == 403
        assert (await _ask(place, part)).status == 200
        assert place.upstream.header("X-G") == ["dev"]


async def test_a_token_is_no_fresh_sign_in(tmp_path: Path) -> None:
    route = {"path": "/pay/*", "rule": {"max_age": "1h"}}
    async with _settings(tmp_path, routes=[route]) as place:
        browser = await _known(place)
        text, _ = await _made(place)
        assert (await browser.get("/pay/x")).status == 200
        answer = await _ask(place, text, "/pay/x")
        assert answer.status == 401
        assert "insufficient_user_authentication" in answer.headers["WWW-Authenticate"]


async def test_a_token_for_some_scopes_has_those(place: Place) -> None:
    await _known(place)
    text, _ = await _made(place, scopes=("read",))
    await _ask(place, text)
    assert (await place.identity())["scope"] == "read"


async def test_scopes_that_are_given_no_more_are_not_all_scopes(place: Place) -> None:
    await _known(place)
    text, _ = await _made(place, scopes=("once",))
    assert (await _ask(place, text)).status == 401


async def test_who_loses_a_group_loses_it_for_their_tokens(place: Place) -> None:
    await _known(place)
    text, _ = await _made(place)
    assert (await _ask(place, text)).status == 200
    _change(place, "dev")
    await _known(place)
    place.clock.advance(11)
    assert (await _ask(place, text)).status == 200
    assert (await place.identity())["role"] == "dev"


async def test_who_may_not_come_in_any_more_has_no_tokens(place: Place) -> None:
    await _known(place)
    text, _ = await _made(place)
    assert (await _ask(place, text)).status == 200
    _change(place)
    assert (await place.browser().sign_in("/")).status == 403
    place.clock.advance(11)
    assert (await _ask(place, text)).status == 401


async def test_an_owner_who_stays_away_for_long(tmp_path: Path) -> None:
    tokens = {"personal": True, "identity_max_age": "1d"}
    async with _settings(tmp_path, tokens=tokens) as place:
        await _known(place)
        text, _ = await _made(place, expires_at=place.clock() + 86400 * 30)
        assert (await _ask(place, text)).status == 200
        place.clock.advance(86401)
        assert (await _ask(place, text)).status == 401
        await _known(place)
        assert (await _ask(place, text)).status == 200


async def test_a_sign_out_ends_no_token_and_a_revocation_does_at_once(place: Place) -> None:
    browser = await _known(place)
    text, token = await _made(place)
    assert (await _ask(place, text)).status == 200
    await browser.post("/oauth2/sign_out", headers={"Sec-Fetch-Site": "same-origin"})
    assert (await _ask(place, text)).status == 200
    keeping = place.app.parts.keeping
    await keeping.tokens.revoke(token, place.clock())
    await keeping.register.end_token(token, place.clock())
    async with asyncio.timeout(1):  # the bar: within a second
        while (await _ask(place, text)).status != 401:
            pass


async def test_a_token_as_a_password_for_git(place: Place) -> None:
    await _known(place)
    text, _ = await _made(place)
    for pair in (f"git:{text}", f"{text}:", f"{text}:x-oauth-basic"):
        basic = base64.b64encode(pair.encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        assert (await place.browser().get("/x", page=False, headers=headers)).status == 200
        assert not place.upstream.header("Authorization")


async def test_many_wrong_ones_from_one_address_must_wait(place: Place) -> None:
    statuses = [(await _ask(place, f"apx_wrong{n}")).status for n in range(30)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


async def test_both_lanes_hide_it_and_know_it(place: Place) -> None:
    await _known(place)
    text, token = await _made(place)
    answers = [await _ask(place, text, Accept="application/json") for _ in range(3)]
    place.only_slow()
    answers.append(await _ask(place, text, Accept="application/json"))
    assert {answer.status for answer in answers} == {200}
    for seen in place.upstream.seen[-4:]:
        assert text not in str(seen)
    assert text not in place.logged()
    assert token.id  # is public


@pytest.mark.parametrize(
    ("routes", "kind", "path", "elsewhere"),
    [
        pytest.param((), "personal", "/x", False, id="bound to nothing"),
        pytest.param(("/api/*",), "service", "/api", False, id="the base"),
        pytest.param(("/api/*",), "service", "/api/x", False, id="below it"),
        pytest.param(("/api/*",), "service", "/apix", True, id="beside it"),
        pytest.param(("/api",), "service", "/api/x", True, id="exactly it"),
        pytest.param(("/*",), "service", "/x", False, id="everything"),
        pytest.param((), "service", "/x", True, id="a service without routes"),
        pytest.param(("/api/*",), "personal", "/x", True, id="a person's, bound"),
    ],
)
def test_bound_to_routes(routes: tuple[str, ...], kind: Any, path: str, elsewhere: bool) -> None:
    assert is_bound_elsewhere(Grant(kind, "tok_1", routes=routes), path) is elsewhere


def test_a_browser_is_bound_to_nothing() -> None:
    assert not is_bound_elsewhere(None, "/x")


def test_a_refusal_is_401_in_the_words_of_rfc_6750() -> None:
    refused = BearerRefused("for the log")
    assert (refused.status, refused.error, refused.detail) == (401, "invalid_token", "for the log")


async def test_what_is_switched_off_is_good_no_more(tmp_path: Path) -> None:
    async with _settings(tmp_path, tokens={"personal": False, "terminal": True}) as place:
        await _known(place)
        text, _ = await _made(place)
        assert (await _ask(place, text)).status == 401
