"""The scenarios of requirements E3 (sign-in of terminals), by number, through a running proxy."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.demo.people import ALICE
from proxy.errors import Reason
from tests.web.place import PUBLIC
from tests.web.terminal_stage import DEVICE, HERE, Stage, allow, decide, type_code

GROUPS = {"select_from": "groups"}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path, tokens=GROUPS) as stage:
        yield stage


async def test_e3_1_a_terminal_begins_and_waits(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    begun = terminal.begun
    assert set(begun) == {
        "login_id", "poll_secret", "user_code", "verification_uri", "expires_in", "interval",
    }  # fmt: skip
    assert re.fullmatch(r"[A-Z]{4}-[A-Z]{4}", begun["user_code"])
    assert (begun["expires_in"], begun["interval"]) == (600, 2)
    assert begun["verification_uri"] == f"{PUBLIC}{DEVICE}"
    assert await terminal.poll() == (200, {"status": "pending"})
    status, _ = await terminal.poll(secret="x" * 43)
    assert status == 404


async def test_e3_2_the_person_confirms_what_they_see(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), stage.browser()
    path = terminal.begun["verification_uri"].removeprefix(PUBLIC)
    answer = await browser.sign_in(path)
    assert answer.location == path
    shown = await type_code(browser, terminal.code)
    assert "Allow this terminal to sign in?" in shown.text
    assert "alice@example.org" in shown.text
    page = await decide(browser, shown)
    assert page.status == 200
    _, found = await terminal.poll("?team_id=dev")
    for secret in (*terminal.secrets, found["key"]):
        assert secret not in page.text
        assert secret not in stage.logged()


async def test_e3_2_after_five_wrong_codes_the_attempt_is_dead(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), await stage.person()
    for _ in range(5):
        wrong = await type_code(browser, "BBBB-BBBB")
        assert Reason.CODE_WRONG in wrong.text
    assert (await type_code(browser, terminal.code)).status == 429
    stage.clock.advance(600)
    assert (await type_code(browser, terminal.code)).status == 410
    assert await terminal.poll() == (410, {"status": "expired"})


async def test_e3_3_of_several_groups_one_is_chosen(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), await stage.person()
    await allow(browser, terminal)
    for _ in range(2):
        status, found = await terminal.poll()
        assert (status, found["status"], found["requires_team_selection"]) == (200, "ready", True)
        assert found["teams"] == ["admins", "dev"]
        assert {"team_id": "dev", "team_alias": None} in found["team_details"]
        assert "key" not in found
    status, _ = await terminal.poll("?team_id=other")
    assert status == 403
    status, found = await terminal.poll("?team_id=dev")
    assert (status, found["status"], found["team_id"]) == (200, "ready", "dev")
    assert (found["user_id"], found["teams"]) == (ALICE.sub, ["admins", "dev"])
    assert found["key"].startswith("apx_t")
    for query in ("?team_id=dev", "?team_id=admins", ""):
        assert await terminal.poll(query) == (410, {"status": "expired"})


@pytest.mark.parametrize("user", ["bob", "mallory"])
async def test_e3_3_with_one_group_or_none_nobody_need_choose(stage: Stage, user: str) -> None:
    terminal = await stage.terminal().start()
    await allow(await stage.person(user), terminal)
    status, found = await terminal.poll()
    assert (status, found["status"]) == (200, "ready")
    assert found["team_id"] == ("dev" if user == "bob" else None)
    assert "key" in found


async def test_e3_4_the_token_works_until_it_is_revoked_or_expires(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    await allow(await stage.person("bob"), terminal)
    _, found = await terminal.poll()
    assert (await terminal.use(found["key"], "/api/models")).status == 200
    assert (await stage.identity())["email"] == "bob@example.org"
    assert stage.upstream.header("Authorization") == []
    stage.clock.advance(12 * 3600)
    late = await terminal.use(found["key"], "/api/models")
    assert late.status == 401
    assert 'error="invalid_token"' in late.headers["WWW-Authenticate"]


async def test_e3_4_whom_the_filters_refuse_is_denied(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), await stage.person("bob")
    await allow(browser, terminal)
    await stage.start_proxy(access={"groups": {"any": ["admins"]}})
    assert await terminal.poll() == (200, {"status": "denied"})
    refused = await browser.get(DEVICE)
    assert (refused.status, Reason.GROUP_NOT_ALLOWED in refused.text) == (403, True)


async def test_e3_5_a_link_without_the_code_gives_no_token(stage: Stage) -> None:
    attacker, victim = await stage.terminal().start(), await stage.person()
    path = attacker.begun["verification_uri"].removeprefix(PUBLIC)
    for link in (path, f"{path}?user_code={attacker.code}", f"{path}?{attacker.begun['login_id']}"):
        page = await victim.get(link)
        assert page.status == 200
        assert attacker.code not in page.text
        await victim.post(link, data={}, headers=HERE)
        await victim.post(link, data={"wish": "allow", "login": attacker.begun["login_id"]})
    assert await attacker.poll() == (200, {"status": "pending"})
