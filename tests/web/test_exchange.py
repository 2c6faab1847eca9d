"""Each person's own Authorization for an upstream: filled in, or exchanged once and kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest

from proxy.web.connection import ClientConnection
from tests.web.place import Answer, Browser, Place

ROUTES: list[dict[str, Any]] = [
    {"path": "/api/*", "authorization": "exchange", "exchange": {"audience": "api"}},
    {
        "path": "/sockets/*", "rewrite": "/", "authorization": "exchange",
        "exchange": {"audience": "api"},
    },
    {"path": "/other/*", "authorization": "exchange", "exchange": {"audience": "other"}},
    {
        "path": "/open/*", "access": "optional", "authorization": "exchange",
        "exchange": {"audience": "api"},
    },
    {
        "path": "/filled/*", "authorization": "template",
        "authorization_template": "Bearer {user}:{department}",
    },
    {"path": "/lacking/*", "authorization": "template", "authorization_template": "Bearer {no}"},
]  # fmt: skip
SETTINGS: dict[str, Any] = {"routes": ROUTES, "session": {"refresh_every": "1h"}}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(**SETTINGS) as place:
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"department": "r-d"}
        yield place


async def signed_in(place: Place, user: str = "alice") -> Browser:
    browser = place.browser()
    await browser.sign_in(user=user)
    return browser


async def asked(browser: Browser, path: str = "/api/x", **headers: str) -> Answer:
    return await browser.get(path, page=False, headers=headers)


def sent(place: Place) -> str:
    """The one Authorization of the upstream's newest request."""
    [value] = place.upstream.header("Authorization")
    return value


async def test_the_upstream_gets_a_token_for_itself_and_never_the_clients(place: Place) -> None:
    browser = await signed_in(place)
    answer = await asked(browser, Authorization="Bearer forged")
    assert answer.status == 200
    token = sent(place).removeprefix("Bearer ")
    given = place.provider.exchanging.given[token]
    assert (given["user"], given["audience"]) == ("alice", "api")
    assert place.upstream.header("X-Forwarded-Identity")


async def test_it_is_kept_for_its_life_less_a_margin(place: Place) -> None:
    browser = await signed_in(place)
    tokens = []
    for passed in (0, 1, 268, 2):
        place.clock.advance(passed)
        await asked(browser)
        tokens.append(sent(place))
    assert tokens[0] == tokens[1] == tokens[2] != tokens[3]
    assert len(place.provider.exchanging.asked) == 2


def _fails(connection: object, data: bytes) -> NoReturn:
    pytest.fail("it went to the slow lane")


async def test_the_fast_lane_serves_while_it_is_at_hand(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await signed_in(place)
    for _ in range(3):
        await asked(browser)
    first = sent(place)
    with monkeypatch.context() as patch:
        patch.setattr(ClientConnection, "go_slow", _fails)
        for _ in range(3):
            assert (await asked(browser)).status == 200
            assert sent(place) == first
    place.clock.advance(271)
    assert (await asked(browser)).status == 200
    assert sent(place) != first


async def test_audiences_and_sessions_have_their_own(place: Place) -> None:
    alice, bob, again = (
        await signed_in(place),
        await signed_in(place, "bob"),
        await signed_in(place),
    )
    found = {}
    for name, browser in (("alice", alice), ("bob", bob), ("alice again", again)):
        for path in ("/api/x", "/other/x"):
            await asked(browser, path)
            found[name, path] = sent(place).removeprefix("Bearer ")
    assert len(set(found.values())) == 6
    for (name, path), token in found.items():
        given = place.provider.exchanging.given[token]
        assert given["user"] == name.split()[0]
        assert given["audience"] == path.split("/")[1]


async def test_whoever_comes_meanwhile_waits_for_the_one_exchange(place: Place) -> None:
    alice, bob = await signed_in(place), await signed_in(place, "bob")
    desk = place.provider.exchanging
    desk.go.clear()
    leaving = asyncio.create_task(asked(alice))
    await desk.arrived.acquire()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asked(who)) for who in (alice, alice, bob, bob)]
        await desk.arrived.acquire()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        desk.go.set()
    assert [task.result().status for task in tasks] == [200] * 4
    assert len(desk.asked) == 2
    for seen in place.upstream.seen:
        headers = {name.lower(): value for name, value in seen["headers"]}
        user = desk.given[headers["authorization"].removeprefix("Bearer ")]["user"]
        assert headers["x-forwarded-email"] == f"{user}@example.org"


async def test_nobody_has_none(place: Place) -> None:
    assert (await asked(place.browser(), "/open/x", Authorization="Bearer forged")).status == 200
    assert place.upstream.header("Authorization") == []
    assert place.provider.exchanging.asked == []


@pytest.mark.parametrize(
    ("desk", "status"),
    [
        pytest.param({"audiences": frozenset()}, 502, id="refused"),
        pytest.param({"status": 500}, 503, id="a fault"),
        pytest.param({"body": b"no JSON"}, 502, id="nonsense"),
        pytest.param({"changes": {"token_type": "N_A"}}, 502, id="no bearer token"),
    ],
)
async def test_without_it_the_request_is_refused_and_the_session_goes_on(
    place: Place, desk: dict[str, Any], status: int
) -> None:
    browser = await signed_in(place)
    honest = {name: getattr(place.provider.exchanging, name) for name in desk}
    for name, value in desk.items():
        setattr(place.provider.exchanging, name, value)
    for _ in range(3):
        answer = await asked(browser)
        assert (answer.status, json.loads(answer.body)["error"]) == (status, "exchange_failed")
    assert len(place.provider.exchanging.asked) == 1, "a provider is not asked for each request"
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
    page = await browser.get("/api/x")
    assert (page.status, page.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert place.upstream.seen == []
    assert (await asked(browser, "/filled/x")).status == 200
    for name, value in honest.items():
        setattr(place.provider.exchanging, name, value)
    place.clock.advance(5)
    assert (await asked(browser)).status == 200


async def test_a_provider_that_cannot_be_reached(place: Place) -> None:
    browser = await signed_in(place)
    await place.provider.stop()
    assert (await asked(browser)).status == 503
    await place.provider.restart()


async def test_the_access_token_is_refreshed_before_its_end() -> None:
    async with Place(**SETTINGS | {"session": {"refresh_every": "10h"}}) as place:
        browser = await signed_in(place)
        await asked(browser)
        place.clock.advance(3565)
        await asked(browser)
        before = place.provider.exchanging.asked[-1]["subject_token"]
        place.clock.advance(5)
        assert (await asked(browser)).status == 200
        assert place.provider.exchanging.asked[-1]["subject_token"] != before


async def test_an_access_token_that_is_over_is_never_shown_to_anybody(place: Place) -> None:
    browser = await signed_in(place)
    place.provider.misbehave("token_500")
    place.clock.advance(3601)
    answer = await asked(browser)
    assert (answer.status, json.loads(answer.body)["error"]) == (503, "exchange_failed")
    assert place.provider.exchanging.asked == []


async def test_who_signed_in_before_it_was_configured() -> None:
    async with Place(session={"refresh_every": "1h"}) as place:
        browser = await signed_in(place)
        await place.start_proxy(**SETTINGS)
        answer = await asked(browser)
        assert (answer.status, json.loads(answer.body)["error"]) == (403, "credential_missing")
        place.clock.advance(3601)
        assert (await asked(browser)).status == 200, "the refresh brought one to keep"


async def test_a_template_is_filled_with_what_the_provider_said(place: Place) -> None:
    browser = await signed_in(place)
    for _ in range(3):
        assert (await asked(browser, "/filled/x", Authorization="Bearer x")).status == 200
        assert sent(place) == "Bearer alice-5f0c3b1e:r-d"
    assert place.provider.exchanging.asked == []


async def test_a_template_whose_claim_is_missing(place: Place) -> None:
    browser = await signed_in(place)
    answer = await asked(browser, "/lacking/x", Authorization="Bearer forged")
    assert (answer.status, json.loads(answer.body)["error"]) == (403, "credential_missing")
    page = await browser.get("/lacking/x")
    assert page.status == 403
    assert "/oauth2/sign_out" in page.text
    assert place.upstream.seen == []
    assert "not fit for a header: no" in place.logged()


async def test_a_websocket_brings_it_too(place: Place) -> None:
    browser = await signed_in(place)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Host": place.host, "Cookie": cookie, "Origin": place.public}
    async with place.http.ws_connect(
        f"http://127.0.0.1:{place.port}/sockets/ws", headers=headers
    ) as socket:
        await socket.close()
    assert sent(place).startswith("Bearer ")


async def test_a_session_that_ends_meanwhile_is_over(place: Place) -> None:
    browser = await signed_in(place)
    desk = place.provider.exchanging
    desk.go.clear()
    waiting = asyncio.create_task(asked(browser))
    await desk.arrived.acquire()
    other = place.browser()
    other.cookies = dict(browser.cookies)
    await other.post("/oauth2/sign_out", headers={"Sec-Fetch-Site": "same-origin"})
    desk.go.set()
    assert (await waiting).status == 401
    assert place.upstream.seen == []


async def test_no_token_is_logged_or_shown(place: Place) -> None:
    place.provider.exchanging.audiences = frozenset({"api"})
    browser = await signed_in(place)
    answers = [await asked(browser, path) for path in ("/api/x", "/other/x")]
    place.provider.exchanging.changes = {"access_token": "se cret"}
    place.clock.advance(300)
    answers.append(await asked(browser))
    desk = place.provider.exchanging
    secrets = {*desk.given, *(request["subject_token"] for request in desk.asked), "se cret"}
    assert len(secrets) >= 3
    everything = place.logged() + "".join(answer.text for answer in answers[1:])
    assert not [secret for secret in secrets if secret in everything]
