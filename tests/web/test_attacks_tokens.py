"""What whoever has a token, or wants somebody else's, might try: each of these was a way in once,
or would be a bad one."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from proxy.crypto.token import make
from proxy.demo.people import ALICE
from proxy.model import Identity
from proxy.session.tokens import Token
from proxy.web.world import World
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import CLIENT, SECRET, FakeIssuer
from tests.web.place import Answer, Browser, Place
from tests.web.terminal_stage import Stage, allow
from tests.wire.stage import eventually

HERE = {"Sec-Fetch-Site": "same-origin"}
ROUTES: list[dict[str, Any]] = [
    {"path": "/maybe/*", "access": "optional"},
    {"path": "/open/*", "access": "public"},
    {"path": "/cookies/*", "bearer": False},
    {"path": "/*"},
]


def _settings(folder: Path, **more: Any) -> Place:
    given: dict[str, Any] = {
        "session": {"file": str(folder / "kept.db")},
        "tokens": {"personal": True, "terminal": True, "scopes": ["read", "write"]},
        "routes": ROUTES,
    }
    return Place(**(given | more))


@pytest_asyncio.fixture(name="place")
async def _place(tmp_path: Path) -> AsyncIterator[Place]:
    async with _settings(tmp_path) as place:
        yield place


async def _made(place: Place, **changes: Any) -> str:
    now, text = place.clock(), make("apx", "p", place.world.random)
    token = Token("personal", "t", place.provider.issuer, ALICE.sub, now, now + 30 * 86400)
    await place.app.parts.keeping.tokens.create(text, replace(token, **changes), now)
    return text


async def _service(place: Place, *routes: str) -> str:
    now, text = place.clock(), make("apx", "s", place.world.random)
    who = Identity("urn:auth-proxy:service", "service:ci", "service:ci", groups=("ci",))
    token = Token("service", "ci", who.issuer, who.subject, now, now + 86400,
                  routes=routes, identity=who)  # fmt: skip
    await place.app.parts.keeping.tokens.create(text, token, now)
    return text


async def _known(place: Place, **options: Any) -> Browser:
    browser = place.browser()
    await browser.sign_in("/", **options)
    return browser


async def _ask(place: Place, authorization: str, path: str = "/x", **headers: str) -> Answer:
    given = {"Authorization": authorization, **headers}
    return await place.browser().get(path, page=False, headers=given)


# A token that is used as something else


@pytest.mark.parametrize("path", ["/oauth2/tokens", "/oauth2/sessions", "/cookies/x"])
@pytest.mark.parametrize("kind", ["personal", "service"])
async def test_a_token_in_the_cookie_is_no_session(place: Place, kind: str, path: str) -> None:
    await _known(place)
    text = await (_made(place) if kind == "personal" else _service(place, "/*"))
    assert (await _ask(place, f"Bearer {text}")).status == 200  # now it is remembered
    for value in (f"bearer {text}", text, f"Bearer {text}"):
        headers = {"Cookie": f"__Host-auth_proxy={value}"}
        answer = await place.browser().get(path, page=False, headers=headers)
        assert answer.status == 401, answer.text


# A token that reaches the app


def _spellings(text: str) -> dict[str, str]:
    pair = base64.b64encode(f"git:{text}".encode()).decode()
    unpadded = base64.b64encode(f"g:{text}".encode()).decode().rstrip("=")
    quoted = base64.b64encode(f"git:Bearer {text}".encode()).decode()
    return {
        "usual": f"Bearer {text}",
        "lower case": f"bearer {text}",
        "spaces": f"Bearer    {text}  ",
        "tab": f"Bearer\t{text}",
        "no scheme": text,
        "another scheme": f"token {text}",
        "quoted": f'Bearer "{text}"',
        "a list": f"Bearer x, Bearer {text}",
        "a parameter": f"Bearer token={text}",
        "basic": f"Basic {pair}",
        "basic, tab": f"Basic\t{pair}",
        "basic, unpadded": f"Basic {unpadded}",
        "basic, with a space": f"Basic {pair[:8]} {pair[8:]}",
        "basic, with something in front": f"Basic {quoted}",
        "basic, in the clear": f"Basic git:{text}",
    }


@pytest.mark.parametrize("path", ["/x", "/maybe/x", "/open/x", "/cookies/x"])
@pytest.mark.parametrize("spelling", sorted(_spellings("")))
async def test_no_spelling_takes_a_token_to_the_app(place: Place, spelling: str, path: str) -> None:
    browser = await _known(place)
    text = await _made(place)
    value = _spellings(text)[spelling]
    for who in (browser, place.browser()):
        for _ in range(2):  # the second time in the fast lane
            await who.get(path, page=False, headers={"Authorization": value})
    for seen in place.upstream.seen:
        told = str(seen)
        assert text not in told
        assert value.split()[-1] not in told
    assert text not in place.logged()


async def test_no_token_in_an_address_is_logged(place: Place) -> None:
    text = make("apx", "p", place.world.random)
    for path in (f"/{text}", f"/x/{text}/y", f"/x?key={text}", f"/x?{text}", f"/a%00{text}"):
        await place.browser().get(path, page=False)
    assert text not in place.logged()


# A token on other routes than its own


@pytest.mark.parametrize(
    "path", ["/api/..;/admin", "/api/;/../admin", "/api;/x", "/API/x", "/api/../admin", "//api/x",
             "/api/%2e%2e/admin", "/api%2fx", "/admin/..;/api/x", "/apix", "/api/.;/x"],
)  # fmt: skip
async def test_a_bound_token_does_not_leave_its_routes(place: Place, path: str) -> None:
    text = await _service(place, "/api/*")
    for _ in range(2):
        assert (await _ask(place, f"Bearer {text}", "/api/x")).status == 200
        place.upstream.seen.clear()
        assert (await _ask(place, f"Bearer {text}", path)).status in (400, 403)
        assert not place.upstream.seen


# A token whose owner is gone


async def test_a_provider_that_leaves_takes_the_tokens_of_its_people_along(tmp_path: Path) -> None:
    providers = [{"name": "one"}, {"name": "two"}]
    async with _settings(tmp_path, providers=providers) as place:
        await _known(place, provider="one")
        text = await _made(place, issuer=place.idps["one"].issuer)
        assert (await _ask(place, f"Bearer {text}")).status == 200
        await place.start_proxy(providers=[{"name": "two"}])
        assert (await _ask(place, f"Bearer {text}")).status == 401


async def test_who_was_refused_does_not_come_back_by_an_older_session(tmp_path: Path) -> None:
    async with _settings(
        tmp_path,
        access={"groups": {"any": ["admins", "dev"]}},
        session={"file": str(tmp_path / "kept.db"), "lifetime": "8h"},
    ) as place:
        old = await _known(place)
        users = place.provider.provider.users
        place.provider.provider.users = {**users, "alice": replace(ALICE, groups=())}
        assert (await place.browser().sign_in("/")).status == 403  # dismissed
        form = json.loads((await old.get("/oauth2/tokens", page=False)).body)["token"]
        fields = {"token": form, "make": "yes", "name": "x", "expires": "30d",
                  "groups": "all", "scopes": "all"}  # fmt: skip
        answer = await old.post("/oauth2/tokens", data=fields, headers=HERE, page=False)
        text = json.loads(answer.body)["secret"]
        place.clock.advance(8 * 3600 + 1)
        assert (await old.get("/", page=False)).status == 401
        assert (await _ask(place, f"Bearer {text}")).status == 401


async def test_who_was_refused_signs_no_terminal_in_for_long(tmp_path: Path) -> None:
    access = {"groups": {"any": ["admins", "dev"]}}
    async with Stage(tmp_path, access=access, session={"lifetime": "8h"}) as stage:
        old = await stage.person()
        users = stage.provider.provider.users
        stage.provider.provider.users = {**users, "alice": replace(ALICE, groups=())}
        assert (await stage.browser().sign_in("/")).status == 403  # dismissed
        terminal = await stage.terminal().authorize()
        await allow(old, terminal)
        _, found = await terminal.token()
        stage.clock.advance(8 * 3600 + 1)
        assert (await terminal.use(found["access_token"])).status == 401
        assert (await terminal.renew(found["refresh_token"]))[0] == 400


async def test_a_provider_that_leaves_takes_the_terminals_of_its_people_along(
    tmp_path: Path,
) -> None:
    providers = [{"name": "one"}, {"name": "two"}]
    async with Stage(tmp_path, providers=providers) as stage:
        browser, terminal = stage.browser(), await stage.terminal().authorize()
        await browser.sign_in("/", provider="one")
        await allow(browser, terminal)
        _, found = await terminal.token()
        await stage.start_proxy(providers=[{"name": "two"}])
        assert (await terminal.use(found["access_token"])).status == 401
        assert (await terminal.renew(found["refresh_token"]))[0] == 400


# A token that only one lane knows


async def test_both_lanes_ask_about_opaque_tokens_where_anybody_may_be_nobody(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with FakeIssuer(clock) as ci:
        bearer = {"issuers": [ci.settings(client_id=CLIENT, client_secret=SECRET)]}
        async with _settings(tmp_path, bearer=bearer, world=World(clock=clock)) as place:
            ci.knows("opaque-and-good")
            for _ in range(3):
                answer = await _ask(place, "Bearer opaque-and-good", "/maybe/x")
                assert answer.status == 200
                assert place.upstream.header("X-Forwarded-User") == ["robot-1"]
            for _ in range(3):
                assert (await _ask(place, "Bearer opaque-and-bad", "/maybe/x")).status == 401


# Others behind the same address


async def test_who_guesses_locks_nobody_out(place: Place) -> None:
    await _known(place)
    good = await _made(place)
    for _ in range(30):
        await _ask(place, "Bearer " + make("apx", "p", place.world.random))
    bad = await _ask(place, "Bearer " + make("apx", "p", place.world.random))
    assert bad.status == 429
    assert (await _ask(place, f"Bearer {good}")).status == 200


# Limits


async def test_one_request_id_for_all_buys_nothing(tmp_path: Path) -> None:
    """Many gateways hand a client's own X-Request-Id on."""
    routes = [{"path": "/*", "access": "public", "limits": [{"per": "route", "concurrent": 2}]}]
    server = {"trusted_proxies": ["127.0.0.1"]}
    async with _settings(tmp_path, routes=routes, server=server) as place:

        async def ask(path: str = "/hold") -> int:
            headers = {"X-Request-Id": "the-same-one"}
            return (await place.browser().get(path, page=False, headers=headers)).status

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask()) for _ in range(6)]
            await eventually(lambda: sum(task.done() for task in asked) == 4)
            place.upstream.release.set()
        assert sorted(task.result() for task in asked) == [200, 200, 429, 429, 429, 429]
        async with asyncio.timeout(5):
            while await ask("/x") != 200:  # and no place is lost for ever
                pass


# Tokens for one group


async def test_who_has_no_group_to_choose_gets_none_later(tmp_path: Path) -> None:
    async with Stage(tmp_path, tokens={"select_from": "groups"}) as stage:
        users = stage.provider.provider.users
        stage.provider.provider.users = {**users, "alice": replace(ALICE, groups=())}
        terminal = await stage.terminal().authorize()
        await allow(await stage.person(), terminal)
        _, found = await terminal.token()
        stage.provider.provider.users = users
        await stage.person()
        stage.clock.advance(11)
        answer = await terminal.use(found["access_token"], "/oauth2/userinfo")
        assert json.loads(answer.body)["groups"] == []


# What a hook says of a token


HOOK = """
from proxy.errors import AccessDenied
from proxy.model import Admission

async def admit(identity, claims):
    if claims.get("azp") == "other":
        raise AccessDenied("not this program")
    return Admission(identity)
"""


async def test_a_token_of_another_program_ends_none_of_the_persons_own(tmp_path: Path) -> None:
    (tmp_path / "azp.py").write_text(HOOK, encoding="utf-8")
    hooks = {"post_login": "azp:admit", "folder": str(tmp_path)}
    async with _settings(tmp_path, hooks=hooks, bearer={"audiences": ["api"]}) as place:
        await _known(place)
        own = await _made(place)
        now = int(place.clock())
        foreign = place.provider.provider.keys.sign(
            {"iss": place.provider.issuer, "aud": "api", "sub": ALICE.sub, "azp": "other",
             "iat": now, "exp": now + 600, "email": ALICE.email}
        )  # fmt: skip
        assert (await _ask(place, f"Bearer {foreign}")).status == 403
        assert (await _ask(place, f"Bearer {own}")).status == 200


# What is open when a token ends


async def test_a_revocation_while_a_token_is_looked_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _known(place)
    text, keeping, now = await _made(place), place.app.parts.keeping, place.clock()
    [token] = await keeping.tokens.of_person(place.provider.issuer, ALICE.sub, now)

    async def touch(found: Token, at: float) -> Token:
        await keeping.revoke(found, at)
        await eventually(lambda: place.app.parts.sessions.has_ended(token.session_id))
        return found

    monkeypatch.setattr(keeping.tokens, "touch", touch)
    assert (await _ask(place, f"Bearer {text}")).status == 401


async def test_a_revocation_at_one_replica_is_heard_at_the_other(place: Place) -> None:
    await _known(place)
    text = await _made(place)
    first, now = place.app, place.clock()
    second = await place.start_proxy()
    given = {"Authorization": f"Bearer {text}"}

    async def ask() -> int:
        answer = await place.browser().get("/x", page=False, headers=given, port=second.port)
        return answer.status

    assert [await ask() for _ in range(3)] == [200] * 3  # in the fast lane by now
    url, more = f"http://127.0.0.1:{second.port}/ws", {"Host": place.host, **given}
    async with asyncio.timeout(5), place.http.ws_connect(url, headers=more) as socket:
        [token] = await first.parts.keeping.tokens.of_person(place.provider.issuer, ALICE.sub, now)
        await first.parts.keeping.revoke(token, now)
        async with asyncio.timeout(1):
            while await ask() != 401:
                pass
        assert (await socket.receive()).data == 1008


@pytest.mark.parametrize("lane", ["fast", "slow"])
async def test_a_revocation_cuts_answers_under_way(place: Place, lane: str) -> None:
    await _known(place)
    if lane == "slow":
        place.only_slow()
    text, keeping, now = await _made(place), place.app.parts.keeping, place.clock()
    for _ in range(2):
        assert (await _ask(place, f"Bearer {text}", "/sse-before")).status == 200
    given = {"Host": place.host, "Authorization": f"Bearer {text}"}
    url = f"http://127.0.0.1:{place.port}/sse"
    await place.upstream.events.put("one")
    async with asyncio.timeout(5), place.http.get(url, headers=given) as response:
        assert await response.content.readany() == b"data: one\n\n"
        [token] = await keeping.tokens.of_person(place.provider.issuer, ALICE.sub, now)
        await keeping.revoke(token, now)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()
