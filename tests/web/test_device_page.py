"""Who allows a terminal has typed its code, in this very session, on this very page."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import Reason
from proxy.web.pages.language import languages
from tests.web.pages.document import Document
from tests.web.place import PUBLIC, Answer, Browser
from tests.web.terminal_stage import (
    DEVICE,
    HERE,
    Stage,
    Terminal,
    allow,
    decide,
    form_of,
    hidden,
    type_code,
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


async def is_pending(terminal: Terminal) -> bool:
    terminal.stage.clock.advance(61)  # however slowly it must ask by now
    return await terminal.poll() == (200, {"status": "pending"})


async def test_the_pages_say_which_terminal_and_which_account(stage: Stage) -> None:
    browser, terminal = await stage.person(), await stage.terminal("git/2.45 (evil <b>)").start()
    stage.clock.advance(120)
    first = await browser.get(DEVICE, headers={"Accept-Language": "fr"})
    assert languages()["fr"].pages["device"].title in first.text
    shown = Document((await type_code(browser, terminal.code)).body)
    assert shown.within("h1") == [languages()["en"].pages["device_confirm"].title]
    assert {"alice@example.org", "git", "127.0.0.1"} <= set(shown.within("bdi"))
    assert shown.within("time") == ["2 minutes ago"]
    assert [button["value"] for button in shown.all("button")] == ["allow", "deny"]
    assert "another address" not in shown.text
    assert "evil" not in shown.text


async def test_the_pages_are_guarded(stage: Stage) -> None:
    browser, terminal = await stage.person(), await stage.terminal().start()
    shown = await type_code(browser, terminal.code)
    pages = [await browser.get(DEVICE), shown, await decide(browser, shown)]
    for page in pages:
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert "<script" not in page.text
        assert terminal.code not in page.text
    head = await browser.request("HEAD", DEVICE)
    assert (head.status, head.body) == (200, b"")


async def test_a_terminal_elsewhere_is_pointed_out(tmp_path: Path) -> None:
    async with Stage(tmp_path, server={"trusted_proxies": ["127.0.0.1"]}) as stage:
        browser, terminal = await stage.person(), stage.terminal()
        answer = await terminal.post("cli/start", **{"X-Forwarded-For": "203.0.113.9"})
        terminal.begun = json.loads(answer.body)
        shown = await type_code(browser, terminal.code)
        assert "203.0.113.9" in shown.text
        assert "another address than yours" in shown.text


async def test_whoever_is_not_signed_in_does_so_and_comes_back(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    browser = stage.browser()
    answer = await browser.sign_in(f"{DEVICE}?user_code={terminal.code}")
    assert (answer.status, answer.location) == (303, DEVICE)
    assert terminal.code not in (await browser.get(DEVICE)).text
    await allow(browser, terminal)
    stranger = stage.browser()
    assert (await stranger.get(DEVICE, page=False)).status == 401
    answer = await stranger.post(DEVICE, data={"code": terminal.code}, headers=HERE)
    assert (answer.status, answer.location) == (303, DEVICE)
    assert (await stranger.post(DEVICE, data={}, headers=HERE, page=False)).status == 401


LINKS = ["", "?user_code={code}", "?code={code}", "?user_code={code}&wish=allow&login={login}"]


async def test_a_link_gives_nothing_away(stage: Stage) -> None:
    """An attacker's verification link, opened by a victim (requirements E3.5, B2)."""
    terminal, victim = await stage.terminal().start(), await stage.person()
    assert terminal.code not in terminal.begun["verification_uri"]
    assert "?" not in terminal.begun["verification_uri"]
    for link in LINKS:
        path = DEVICE + link.format(code=terminal.code, login=terminal.begun["login_id"])
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, HERE):
            page = await victim.get(path, headers=headers)
            assert page.status == 200
            assert terminal.code not in page.text
            assert terminal.begun["login_id"] not in page.text
            assert [field["name"] for field in Document(page.body).all("input")] == [
                "token",
                "code",
            ]
    assert await is_pending(terminal)


FORGED: list[tuple[str, dict[str, str]]] = [
    ("another site", {"Sec-Fetch-Site": "cross-site"}),
    ("a subdomain", {"Sec-Fetch-Site": "same-site"}),
    ("another origin", {"Origin": "https://evil.example"}),
    ("a hidden origin", {"Origin": "null"}),
    ("a pretended origin", {"Origin": PUBLIC, "Sec-Fetch-Site": "cross-site"}),
]


async def test_only_our_own_pages_may_ask(stage: Stage) -> None:
    terminal, victim = await stage.terminal().start(), await stage.person()
    shown = await type_code(victim, terminal.code)
    for name, headers in FORGED:
        refused = await type_code(victim, terminal.code, headers)
        assert (refused.status, Reason.CROSS_SITE in refused.text) == (403, True), name
        refused = await decide(victim, shown, headers=headers)
        assert (refused.status, Reason.CROSS_SITE in refused.text) == (403, True), name
    assert await is_pending(terminal)
    for headers in (HERE, {"Origin": PUBLIC}, {}):
        assert (await type_code(victim, terminal.code, headers)).status == 200


async def posted(browser: Browser, **fields: str) -> Answer:
    return await browser.post(DEVICE, data=fields, headers=HERE)


async def test_whoever_has_not_typed_the_code_in_this_session_allows_nothing(stage: Stage) -> None:
    """The attacker knows the login's name, the code and a proof of their own session."""
    terminal, other = await stage.terminal().start(), await stage.terminal().start()
    attacker, victim, again = [await stage.person(who) for who in ("bob", "alice", "alice")]
    login = terminal.begun["login_id"]
    first, second = await form_of(victim), hidden(await type_code(attacker, terminal.code))
    third = hidden(await type_code(victim, other.code))
    fourth = hidden(await type_code(again, terminal.code))
    for name, token in (
        ("none", ""),
        ("that of the first page", first["token"]),
        ("the attacker's", second["token"]),
        ("one for another terminal", third["token"]),
        ("one of another session of the same person", fourth["token"]),
    ):
        refused = await posted(victim, login=login, token=token, wish="allow")
        assert (refused.status, Reason.CROSS_SITE in refused.text) == (403, True), name
    # Nor does the proof for a terminal stand in for that of the first page, or the other way.
    assert (await posted(victim, code=terminal.code, token=third["token"])).status == 403
    data = [("login", login), ("login", other.begun["login_id"]), ("wish", "allow"), *third.items()]
    assert (await victim.post(DEVICE, data=data, headers=HERE)).status == 403
    assert await is_pending(terminal)
    assert await is_pending(other)


async def test_the_proof_outlives_a_change_of_the_secret(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), await stage.person()
    shown = await type_code(browser, terminal.code)
    old = stage.settings().cookie.secret[0].reveal()
    await stage.start_proxy(cookie={"secret": [secrets.token_urlsafe(32), old]})
    assert (await decide(browser, shown)).status == 200
    assert (await terminal.poll())[1]["status"] == "ready"


WISHES: list[tuple[str, Any]] = [
    ("no wish", {}),
    ("another", {"wish": "yes"}),
    ("empty", {"wish": ""}),
]


async def test_what_is_no_decision_decides_nothing(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), await stage.person()
    fields = hidden(await type_code(browser, terminal.code))
    for name, wish in WISHES:
        assert (await posted(browser, **fields, **wish)).status == 400, name
    both = [*fields.items(), ("wish", "allow"), ("wish", "deny")]
    assert (await browser.post(DEVICE, data=both, headers=HERE)).status == 400
    assert await is_pending(terminal)


async def test_one_decision_for_each_terminal(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    alice, bob = await stage.person(), await stage.person("bob")
    pages = [await type_code(each, terminal.code) for each in (alice, bob)]
    answers = await asyncio.gather(decide(alice, pages[0]), decide(bob, pages[1]))
    assert sorted(answer.status for answer in answers) == [200, 410]
    winner = "alice" if answers[0].status == 200 else "bob"
    assert (await decide(alice, pages[0], "deny")).status == 410
    status, found = await terminal.poll()
    assert (status, found["status"]) == (200, "ready")
    await terminal.use(found["key"])
    assert (await stage.identity())["email"] == f"{winner}@example.org"
    used = await type_code(bob, terminal.code)
    assert (used.status, Reason.CODE_EXPIRED in used.text) == (410, True)


async def test_five_wrong_codes_and_no_code_works_any_more(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    one, again, bob = [await stage.person(who) for who in ("alice", "alice", "bob")]
    for code in ("BBBB-BBBB", "", "nonsense", "CCCC-CCCC", "D" * 1000):
        wrong = await type_code(one, code)
        assert (wrong.status, Reason.CODE_WRONG in wrong.text) == (404, True)
        assert f'href="{DEVICE}"' in wrong.text
    for browser in (one, again):  # a new session is no new person
        tired = await type_code(browser, terminal.code)
        assert (tired.status, tired.headers["Retry-After"]) == (429, "600")
        assert Reason.TOO_MANY_REQUESTS in tired.text
    assert await is_pending(terminal)
    await allow(bob, terminal)
    stage.clock.advance(600)
    newer = await stage.terminal().start()
    await allow(one, newer)


async def test_guesses_at_once_are_as_few(stage: Stage) -> None:
    browser = await stage.person()
    fields = await form_of(browser)
    guesses = [
        posted(browser, **fields, code="".join(secrets.choice("BCDFGHJKLM") for _ in range(8)))
        for _ in range(12)
    ]
    statuses = sorted([answer.status for answer in await asyncio.gather(*guesses)])
    assert statuses == [404] * 5 + [429] * 7


async def test_an_address_that_guesses_for_many_people_must_wait(stage: Stage) -> None:
    people = [await stage.person(user) for user in ("alice", "bob", "mallory")]
    for browser in people[:2]:
        for _ in range(5):
            assert (await type_code(browser, "BBBB-BBBB")).status == 404
    terminal = await stage.terminal().start()
    answer = await type_code(people[0], terminal.code)
    assert answer.status == 429


async def test_whom_the_rules_refuse_they_refuse_here(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), await stage.person()
    shown = await type_code(browser, terminal.code)
    await stage.start_proxy(access={"email_domains": ["elsewhere.example"]})
    for answer in (await browser.get(DEVICE), await decide(browser, shown)):
        assert (answer.status, Reason.EMAIL_NOT_ALLOWED in answer.text) == (403, True)
    assert await is_pending(terminal)


async def test_a_token_is_no_way_to_more_of_them(stage: Stage) -> None:
    one, two = await stage.terminal().start(), await stage.terminal().start()
    await allow(await stage.person(), one)
    _, found = await one.poll()
    given = {"Authorization": f"Bearer {found['key']}"}
    program = stage.browser()
    answer = await program.get(DEVICE, headers=given)
    assert answer.status in (302, 401)
    answer = await program.post(DEVICE, data={"code": two.code}, headers={**HERE, **given})
    assert answer.status in (303, 401)
    assert await is_pending(two)


async def test_what_is_no_form_is_refused(stage: Stage) -> None:
    browser = await stage.person()
    for data, kind in ((b"{}", "application/json"), (b"code=\xff", "text/plain")):
        headers = {**HERE, "Content-Type": kind}
        assert (await browser.post(DEVICE, data=data, headers=headers)).status == 400


async def test_a_lost_shelf_allows_nobody(stage: Stage) -> None:
    terminal, browser = await stage.terminal().start(), await stage.person()
    first, shown = await form_of(browser), await type_code(browser, terminal.code)
    await stage.app.parts.keeping.shelf.close()
    for answer in (
        await decide(browser, shown),
        await posted(browser, **first, code=terminal.code),
    ):
        assert (answer.status, Reason.STORE_UNAVAILABLE in answer.text) == (503, True)
