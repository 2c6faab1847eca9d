"""Terminals are signed in by whoever typed their code, once; others get nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from proxy.crypto.token import kind_of
from proxy.errors import Reason
from tests.fakes.redis_servers import single
from tests.web.place import PUBLIC
from tests.web.terminal_stage import DEVICE, GRANT, Stage, allow, decide, type_code


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


async def test_a_terminal_signs_in_as_rfc_8628_has_it(stage: Stage) -> None:
    terminal = await stage.terminal().authorize(client_id="anything")
    assert terminal.begun["verification_uri"] == f"{PUBLIC}/oauth2/device"
    assert (terminal.begun["expires_in"], terminal.begun["interval"]) == (600, 2)
    assert "verification_uri_complete" not in terminal.begun
    status, found = await terminal.token()
    assert (status, found["error"]) == (400, "authorization_pending")
    page = await allow(await stage.person(), terminal)
    assert "alice@example.org" in page.text
    status, found = await terminal.token()
    assert status == 200
    assert set(found) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 12 * 3600)
    answer = await terminal.use(found["access_token"])
    assert answer.status == 200
    assert (await stage.identity())["email"] == "alice@example.org"
    status, found = await terminal.token()
    assert (status, found["error"]) == (400, "expired_token")


async def test_what_came_of_it_is_written_down_without_secrets(stage: Stage) -> None:
    one, two = await stage.terminal().authorize(), await stage.terminal("git/2.45").start()
    browser = await stage.person()
    pages = [await type_code(browser, each.code) for each in (one, two)]
    pages += [await decide(browser, page) for page in list(pages)]
    _, found = await one.token()
    _, renewed = await one.renew(found["refresh_token"])
    _, ready = await two.poll()
    await one.use(renewed["access_token"])
    await one.post("device/revoke", {"token": renewed["access_token"]})
    await type_code(browser, one.code)
    (line, other) = stage.audited("terminal_signed_in")
    assert (line["reason"], line["email"]) == (Reason.TERMINAL_SIGNED_IN, "alice@example.org")
    assert (line["program"], other["program"]) == ("curl", "git")
    assert (line["allowed_from"], line["client"]) == ("127.0.0.1", "127.0.0.1")
    assert line["token"].startswith("tok_")
    assert other["login"] == two.begun["login_id"]
    secrets = [*one.secrets, *two.secrets, ready["key"]]
    secrets += [
        each[name] for each in (found, renewed) for name in ("access_token", "refresh_token")
    ]
    secrets += [code.replace("-", "") for code in (one.code, two.code)]
    metrics = await metrics_of(stage)
    for secret in secrets:
        assert secret not in stage.logged()
        assert secret not in metrics
        for page in pages:
            assert secret not in page.text
    assert {kind_of(ready["key"], "apx"), kind_of(found["refresh_token"], "apx")} == {"t", "r"}


async def metrics_of(stage: Stage) -> str:
    answer = await stage.browser().get("/metrics", port=stage.app.private_port)
    assert answer.status == 200
    return answer.text


NO_SECRET = {"grant_type": GRANT, "device_code": "login_" + "0" * 32}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FORMS: list[tuple[str, Any, dict[str, str], str]] = [
    ("no grant", {}, {}, "invalid_request"),
    ("another grant", {"grant_type": "password"}, {}, "unsupported_grant_type"),
    ("no code", {"grant_type": GRANT}, {}, "invalid_grant"),
    ("no secret", NO_SECRET, {}, "invalid_grant"),
    ("odd code", {"grant_type": GRANT, "device_code": "\u00e9.\u00e9"}, {}, "invalid_grant"),
    ("no refresh token", {"grant_type": "refresh_token"}, {}, "invalid_grant"),
    ("JSON", b"{}", {"Content-Type": "application/json"}, "invalid_request"),
    ("no form", b"\xff", FORM, "invalid_request"),
]  # fmt: skip


async def test_questions_that_have_no_answer(stage: Stage) -> None:
    terminal = stage.terminal()
    for name, data, headers, error in FORMS:
        answer = await terminal.post("device/token", data, **headers)
        assert (answer.status, json.loads(answer.body)["error"]) == (400, error), name
    answer = await terminal.post("device/revoke", {})
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")
    await terminal.authorize()
    twice = [("grant_type", GRANT), *[("device_code", terminal.begun["device_code"])] * 2]
    answer = await terminal.post("device/token", twice)
    assert json.loads(answer.body)["error"] == "invalid_grant"


async def test_a_terminal_begins_with_no_body_or_any_form(stage: Stage) -> None:
    terminal = stage.terminal()
    for path in ("device/authorize", "cli/start"):
        for data in (None, {}, {"source": "cli", "key": "sk-attacker"}):
            answer = await terminal.post(path, data)
            assert answer.status == 200, (path, data)
            assert "sk-attacker" not in answer.text
    for method in ("GET", "PUT", "DELETE"):
        for path in ("device/authorize", "device/token", "device/revoke", "cli/start"):
            answer = await terminal.browser.request(method, f"/oauth2/{path}", page=False)
            assert (answer.status, answer.headers["Allow"]) == (405, "POST"), (method, path)
    await terminal.start()
    poll = f"/oauth2/cli/poll/{terminal.begun['login_id']}"
    for method in ("HEAD", "POST"):
        assert (await terminal.browser.request(method, poll, page=False)).status == 405


async def test_the_token_has_the_scopes_that_were_asked_for(tmp_path: Path) -> None:
    async with Stage(tmp_path, tokens={"scopes": ["read", "write"]}) as stage:
        terminal = await stage.terminal().authorize(scope="read")
        browser = await stage.person()
        shown = await type_code(browser, terminal.code)
        assert "<bdi>read</bdi>" in shown.text
        await decide(browser, shown)
        _, found = await terminal.token()
        assert found["scope"] == "read"
        await terminal.use(found["access_token"])
        assert (await stage.identity())["scope"] == "read"
        answer = await terminal.post("device/authorize", {"scope": "read admin"})
        assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_scope")
        free = await stage.terminal().authorize()
        await allow(browser, free)
        assert (await free.token())[1]["scope"] == "read write"


async def test_who_asks_too_soon_is_told_to_wait(stage: Stage) -> None:
    one, two = await stage.terminal().authorize(), await stage.terminal().start()
    assert (await one.token())[1]["error"] == "authorization_pending"
    status, found = await one.token()
    assert (status, found["error"], found["interval"]) == (400, "slow_down", 7)
    assert (await two.poll()) == (200, {"status": "pending"})
    answer = await two.browser.get(
        f"/oauth2/cli/poll/{two.begun['login_id']}",
        page=False,
        headers={"X-Poll-Secret": two.begun["poll_secret"]},
    )
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert json.loads(answer.body) == {"status": "slow_down", "interval": 7}
    stage.clock.advance(7)
    assert (await one.token())[1]["error"] == "authorization_pending"
    # Once somebody has decided nobody need wait.
    await allow(await stage.person(), one)
    assert (await one.token())[0] == 200


async def test_a_refused_terminal_gets_nothing(stage: Stage) -> None:
    browser = await stage.person()
    one, two = await stage.terminal().authorize(), await stage.terminal().start()
    for terminal in (one, two):
        page = await decide(browser, await type_code(browser, terminal.code), "deny")
        assert page.status == 200
        assert "was refused" in page.text
    for _ in range(2):
        assert (await one.token())[1]["error"] == "access_denied"
        assert await two.poll() == (200, {"status": "denied"})
    assert stage.audited("terminal_signed_in") == []


async def test_ten_minutes_are_over(stage: Stage) -> None:
    one, two, three = [await stage.terminal().start() for _ in range(3)]
    browser = await stage.person()
    shown = await type_code(browser, three.code)
    await allow(browser, two)
    stage.clock.advance(600)
    for terminal in (one, two, three):
        assert await terminal.poll() == (410, {"status": "expired"})
    late = await type_code(browser, one.code)
    assert (late.status, Reason.CODE_EXPIRED in late.text) == (410, True)
    answer = await decide(browser, shown)
    assert (answer.status, Reason.CODE_EXPIRED in answer.text) == (410, True)
    stage.clock.advance(600)
    assert (await one.poll())[0] == 404


async def test_of_many_who_ask_at_once_one_gets_a_token(stage: Stage) -> None:
    one, two = await stage.terminal().authorize(), await stage.terminal().start()
    browser = await stage.person()
    await allow(browser, one)
    await allow(browser, two)
    answers = await asyncio.gather(*(one.token() for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] + [400] * 7
    found = next(document for status, document in answers if status == 200)
    assert (await one.use(found["access_token"])).status == 200
    answers = await asyncio.gather(*(two.poll() for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] + [410] * 7
    assert len(stage.audited("terminal_signed_in")) == 2


@pytest.mark.parametrize("shared", ["file", "redis"])
async def test_of_many_replicas_one_makes_the_token(tmp_path: Path, shared: str) -> None:
    with ExitStack() as stack:
        redis = {"url": stack.enter_context(single(tmp_path)).url} if shared == "redis" else {}
        async with Stage(tmp_path, redis=redis) as stage:
            first = stage.port
            await stage.start_proxy()
            terminal = await stage.terminal().start()
            assert (await terminal.poll())[1]["status"] == "pending"
            assert (await terminal.poll())[1]["status"] == "slow_down"
            browser = await stage.person()
            assert (await type_code(browser, "BBBB-BBBB")).status == 404
            await allow(browser, terminal)
            path = f"/oauth2/cli/poll/{terminal.begun['login_id']}"
            headers = {"X-Poll-Secret": terminal.begun["poll_secret"]}
            polls = (
                terminal.browser.get(path, page=False, headers=headers, port=port)
                for port in (first, stage.port) * 4
            )
            statuses = sorted([answer.status for answer in await asyncio.gather(*polls)])
            assert statuses == [200] + [410] * 7
            renewed = await stage.terminal().authorize()
            await allow(browser, renewed)
            _, found = await renewed.token()
            assert (await renewed.renew(found["refresh_token"]))[0] == 200
            assert (await renewed.renew(found["refresh_token"]))[0] == 400


async def test_the_secret_of_one_opens_no_other(stage: Stage) -> None:
    one, two = await stage.terminal().start(), await stage.terminal().start()
    browser = await stage.person()
    await allow(browser, one)
    for secret in (two.begun["poll_secret"], one.code, one.begun["login_id"], "x" * 43):
        status, found = await one.poll(secret=secret)
        assert (status, found["error"]) == (404, "not_found")
    secret = two.begun["poll_secret"]
    form = {"grant_type": GRANT, "device_code": f"{one.begun['login_id']}.{secret}"}
    answer = await one.post("device/token", form)
    assert json.loads(answer.body)["error"] == "invalid_grant"
    one.begun["login_id"] += "/x"
    assert (await one.poll())[0] == 404
    one.begun["login_id"] = one.begun["login_id"].removesuffix("/x")
    assert (await one.poll())[0] == 200


async def test_who_guesses_must_wait_and_whoever_knows_need_not(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    seen = [(await terminal.poll(secret=f"guess {number}"))[0] for number in range(14)]
    assert seen[:9] == [404] * 9
    assert seen[-1] == 429
    assert (await terminal.poll())[0] == 200
    for path, form in (
        ("device/token", {"grant_type": GRANT, "device_code": "x"}),
        ("device/token", {"grant_type": "refresh_token", "refresh_token": "x"}),
        ("device/revoke", {"token": "x"}),
    ):
        answer = await terminal.post(path, form)
        assert answer.status == 429, path
        assert int(answer.headers["Retry-After"]) >= 1


async def test_not_too_many_begin_from_one_address(stage: Stage) -> None:
    terminal = stage.terminal()
    for _ in range(30):
        await terminal.start()
    answer = await terminal.post("cli/start")
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) == 60
    assert (await terminal.post("device/authorize")).status == 429
    stage.clock.advance(600)
    await terminal.authorize()


async def test_switched_off_there_is_nothing(tmp_path: Path) -> None:
    async with Stage(tmp_path, tokens={"terminal": False, "personal": True}) as stage:
        browser, terminal = await stage.person(), stage.terminal()
        for path in ("device/authorize", "device/token", "device/revoke", "cli/start"):
            assert (await terminal.post(path, {})).status == 404, path
        assert (await browser.get(DEVICE)).status == 404
        assert (await browser.get("/oauth2/cli/poll/login_x", page=False)).status == 404
        assert (await browser.post(DEVICE, data={})).status == 404


async def test_a_lost_shelf_is_503(stage: Stage) -> None:
    terminal = await stage.terminal().start()
    await stage.app.parts.keeping.shelf.close()
    assert (await terminal.poll())[0] == 503
    assert (await terminal.post("cli/start")).status == 503
    assert (await terminal.post("device/authorize")).status == 503
