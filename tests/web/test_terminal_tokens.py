"""A terminal's tokens: renewed in turns, gone together, and never more than the person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import Reason
from proxy.session.tokens import Token
from tests.web.place import Browser
from tests.web.terminal_stage import Stage, Terminal, allow

HOUR = 3600.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


async def signed_in(stage: Stage, browser: Browser) -> tuple[Terminal, dict[str, Any]]:
    terminal = await stage.terminal().authorize()
    await allow(browser, terminal)
    status, found = await terminal.token()
    assert status == 200, found
    return terminal, found


async def is_good(terminal: Terminal, token: str) -> bool:
    """Asked of another worker each time, as it were: nothing that was found before counts."""
    answer = await terminal.use(token)
    assert answer.status in (200, 401)
    if answer.status == 401:
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    return answer.status == 200


async def becomes_bad(terminal: Terminal, token: str) -> None:
    async with asyncio.timeout(2):
        while await is_good(terminal, token):
            pass


async def test_renewing_replaces_both(stage: Stage) -> None:
    terminal, old = await signed_in(stage, await stage.person())
    stage.clock.advance(11 * HOUR)
    status, new = await terminal.renew(old["refresh_token"])
    assert status == 200
    assert new["expires_in"] == 12 * HOUR
    assert {old["access_token"], old["refresh_token"]}.isdisjoint(new.values())
    assert await is_good(terminal, new["access_token"])
    await becomes_bad(terminal, old["access_token"])
    stage.clock.advance(13 * HOUR)
    assert not await is_good(terminal, new["access_token"])
    _, newer = await terminal.renew(new["refresh_token"])
    assert await is_good(terminal, newer["access_token"])


async def test_a_refresh_token_that_comes_again_ends_everything(stage: Stage) -> None:
    browser = await stage.person()
    (one, old), (other, spared) = await signed_in(stage, browser), await signed_in(stage, browser)
    _, new = await one.renew(old["refresh_token"])
    status, found = await one.renew(old["refresh_token"])
    assert (status, found["error"]) == (400, "invalid_grant")
    await becomes_bad(one, new["access_token"])
    assert (await one.renew(new["refresh_token"]))[1]["error"] == "invalid_grant"
    assert await is_good(other, spared["access_token"])
    assert (await other.renew(spared["refresh_token"]))[0] == 200
    lines = [line for line in stage.audited("login_failed") if "came again" in line["detail"]]
    assert {line["reason"] for line in lines} == {Reason.TOKEN_INVALID}


async def test_of_many_who_renew_at_once_nobody_goes_on_with_two(stage: Stage) -> None:
    terminal, old = await signed_in(stage, await stage.person())
    answers = await asyncio.gather(*(terminal.renew(old["refresh_token"]) for _ in range(6)))
    assert sum(status == 200 for status, _ in answers) <= 1
    for status, found in answers:
        if status == 200:
            await becomes_bad(terminal, found["access_token"])
            assert (await terminal.renew(found["refresh_token"]))[0] == 400
    await becomes_bad(terminal, old["access_token"])


async def test_the_terminal_signs_out(stage: Stage) -> None:
    browser = await stage.person()
    for which in ("access_token", "refresh_token"):
        terminal, found = await signed_in(stage, browser)
        _, found = await terminal.renew(found["refresh_token"])
        answer = await terminal.post("device/revoke", {"token": found[which]})
        assert (answer.status, answer.body) == (200, b"{}")
        await becomes_bad(terminal, found["access_token"])
        assert (await terminal.renew(found["refresh_token"]))[0] == 400
        again = await terminal.post("device/revoke", {"token": found[which]})
        assert again.status == 200
    assert len(stage.audited("token_revoked")) == 2


async def test_the_owner_signs_it_out_elsewhere(stage: Stage) -> None:
    browser = await stage.person()
    terminal, found = await signed_in(stage, browser)
    keeping, now = stage.app.parts.keeping, stage.clock()
    person = await stage.owner(terminal, found["access_token"])
    (token, *_) = await keeping.tokens.of_person(*person, now)
    await keeping.revoke(token, now)
    await becomes_bad(terminal, found["access_token"])
    assert (await terminal.renew(found["refresh_token"]))[0] == 400


async def test_nothing_that_is_renewed_meanwhile_escapes(stage: Stage) -> None:
    browser = await stage.person()
    keeping, now = stage.app.parts.keeping, stage.clock()
    for round_ in range(12):
        terminal, found = await signed_in(stage, browser)
        person = await stage.owner(terminal, found["access_token"])
        (token, *_) = await keeping.tokens.of_person(*person, now)

        async def ends(late: int, terminal: Terminal = terminal, token: Token = token) -> None:
            for _ in range(late):
                await keeping.shelf.ready()
            await keeping.revoke(token, now)

        await asyncio.gather(terminal.renew(found["refresh_token"]), ends(round_ * 3))
        assert await keeping.tokens.of_person(*person, now) == []


async def test_a_personal_token_is_not_for_these_endpoints(stage: Stage) -> None:
    terminal, found = await signed_in(stage, await stage.person())
    assert (await terminal.renew(found["access_token"]))[1]["error"] == "invalid_grant"
    assert not await is_good(terminal, found["refresh_token"])
    for text in ("apx_p" + "0" * 49, "apx_r" + "0" * 49, "", "x" * 300):
        assert (await terminal.renew(text))[0] in (400, 429)


async def test_the_rules_are_asked_at_each_step(stage: Stage) -> None:
    browser = await stage.person()
    terminal, found = await signed_in(stage, browser)
    waiting, begun = await stage.terminal().authorize(), await stage.terminal().start()
    await allow(browser, waiting)
    await allow(browser, begun)
    await stage.start_proxy(access={"email_domains": ["elsewhere.example"]})
    assert (await waiting.token())[1]["error"] == "access_denied"
    assert await begun.poll() == (200, {"status": "denied"})
    assert (await terminal.renew(found["refresh_token"]))[1]["error"] == "invalid_grant"
    assert (await terminal.use(found["access_token"])).status == 403
    lines = stage.audited("denied")
    assert {line["reason"] for line in lines} == {Reason.EMAIL_NOT_ALLOWED}
    # Who is let in again has lost nothing.
    await stage.start_proxy(access={"email_domains": []})
    assert (await waiting.token())[0] == 200
    assert (await terminal.renew(found["refresh_token"]))[0] == 200


async def test_whoever_has_not_signed_in_for_long_must_do_so(tmp_path: Path) -> None:
    async with Stage(tmp_path, tokens={"identity_max_age": "2h", "terminal_ttl": "9h"}) as stage:
        browser = await stage.person()
        terminal, found = await signed_in(stage, browser)
        stage.clock.advance(2 * HOUR - 10)
        late = await stage.terminal().start()
        await allow(browser, late)
        stage.clock.advance(10)
        assert await late.poll() == (200, {"status": "denied"})
        assert (await terminal.renew(found["refresh_token"]))[0] == 400
        await stage.person()
        assert (await late.poll())[1]["status"] == "ready"
        assert (await terminal.renew(found["refresh_token"]))[0] == 200


async def test_renewing_ends_when_it_should(tmp_path: Path) -> None:
    async with Stage(tmp_path, tokens={"terminal_refresh": "20h"}) as stage:
        terminal, found = await signed_in(stage, await stage.person())
        stage.clock.advance(15 * HOUR)
        _, found = await terminal.renew(found["refresh_token"])
        stage.clock.advance(5 * HOUR)  # counted from the sign-in
        assert (await terminal.renew(found["refresh_token"]))[1]["error"] == "invalid_grant"
        assert await is_good(terminal, found["access_token"])


async def test_without_renewal_there_is_no_refresh_token(tmp_path: Path) -> None:
    async with Stage(tmp_path, tokens={"terminal_refresh": "0s"}) as stage:
        terminal, found = await signed_in(stage, await stage.person())
        assert "refresh_token" not in found
        await terminal.post("device/revoke", {"token": found["access_token"]})
        await becomes_bad(terminal, found["access_token"])


async def test_one_group_is_chosen_and_the_others_are_dropped(tmp_path: Path) -> None:
    async with Stage(tmp_path, tokens={"select_from": "groups"}) as stage:
        browser, bob = await stage.person(), await stage.person("bob")
        terminal = await stage.terminal().authorize()
        await allow(browser, terminal)
        status, found = await terminal.token()
        assert (status, found["error"]) == (400, "team_selection_required")
        assert found["teams"] == ["admins", "dev"]
        status, found = await terminal.token(team_id="staff")
        assert (status, found["error"]) == (400, "team_not_allowed")
        status, found = await terminal.token(team_id="dev")
        assert status == 200
        await terminal.use(found["access_token"])
        assert (await stage.identity())["groups"] == ["dev"]
        _, found = await terminal.renew(found["refresh_token"])
        await terminal.use(found["access_token"])
        assert (await stage.identity())["groups"] == ["dev"]
        single = await stage.terminal().start()
        await allow(bob, single)
        _, found = await single.poll()
        assert (found["team_id"], found["teams"]) == ("dev", ["dev"])


async def test_only_groups_that_the_rules_let_in_are_offered(tmp_path: Path) -> None:
    tokens, access = {"select_from": "groups"}, {"groups": {"any": ["admins", "ops"]}}
    async with Stage(tmp_path, tokens=tokens, access=access) as stage:
        terminal = await stage.terminal().start()
        browser = await stage.person()
        await allow(browser, terminal)
        _, found = await terminal.poll("?team_id=dev")
        assert found == {"status": "team_not_allowed"}
        _, found = await terminal.poll()
        assert (found["team_id"], found["teams"]) == ("admins", ["admins"])
        assert (await terminal.use(found["key"])).status == 200
        await stage.start_proxy(access={"groups": {"all": ["admins", "dev"]}})
        both = await stage.terminal().start()
        await allow(browser, both)
        assert await both.poll() == (200, {"status": "denied"})


async def test_without_a_choice_all_groups_are_the_tokens(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    await allow(await stage.person(), terminal)
    _, found = await terminal.poll()
    assert (found["team_id"], found["teams"], found["team_details"]) == (None, [], [])
    await terminal.use(found["key"])
    assert (await stage.identity())["groups"] == ["admins", "dev"]
    assert json.loads((await terminal.use(found["key"], "/oauth2/userinfo")).body)["email"]
