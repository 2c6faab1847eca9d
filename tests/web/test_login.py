"""Signing in: the flow, its attempts and cookies, and who may not complete it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote, urlencode

import pytest

from proxy.errors import Reason
from tests.web.place import Answer, Place, attempt_cookies, query

SESSION = "__Host-auth_proxy"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


def refused(place: Place, answer: Answer, status: int, reason: Reason, retry: str = "/") -> None:
    """A page with the reason, the request's id and the way to try again; no session."""
    assert answer.status == status, answer.text
    assert reason in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert f'href="/oauth2/start?rd={quote(retry, safe="/")}"' in answer.text
    assert not [line for line in answer.set_cookies if line.startswith(f"{SESSION}=")]
    assert not [secret for secret in place.secrets() if secret in answer.text]
    assert place.audited("login_failed")[-1]["reason"] == reason


# who may complete an attempt


async def test_a_callback_is_good_once(place: Place) -> None:
    browser = place.browser()
    callback = await browser.callback_url("/deep")
    held = dict(browser.cookies)
    assert (await browser.get(callback)).status == 303
    thief = place.browser()
    thief.cookies = held
    refused(place, await thief.get(callback), 403, Reason.ATTEMPT_MISSING, "/deep")
    refused(place, await browser.get(callback), 403, Reason.ATTEMPT_MISSING)
    assert (await browser.get("/")).status == 200
    assert place.provider.calls["token"] == 1


async def test_callbacks_that_arrive_together_make_one_session(place: Place) -> None:
    browser = place.browser()
    callback = await browser.callback_url()
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    tabs = [place.browser() for _ in range(8)]
    answers = await asyncio.gather(*(t.get(callback, headers={"Cookie": cookie}) for t in tabs))
    assert sorted(answer.status for answer in answers) == [303, *[403] * 7]
    assert sum(tab.session is not None for tab in tabs) == 1
    assert place.provider.calls["token"] == 1


async def test_another_browser_gets_nothing_and_burns_nothing(place: Place) -> None:
    victim = place.browser()
    callback = await victim.callback_url("/mine")
    refused(place, await place.browser().get(callback), 403, Reason.ATTEMPT_MISSING)
    busy = place.browser()
    await busy.get("/theirs")
    refused(place, await busy.get(callback), 403, Reason.ATTEMPT_MISSING, "/theirs")
    assert len(attempt_cookies(busy.cookies)) == 1
    assert place.provider.calls["token"] == 0
    assert (await victim.get(callback)).location == "/mine"


Params = list[tuple[str, str]]
TAMPERED: dict[str, tuple[Callable[[str, str, str], Params], int, Reason]] = {
    # from code, state and iss
    "no code": (lambda c, s, i: [("state", s), ("iss", i)], 400, Reason.CODE_MISSING),
    "no state": (lambda c, s, i: [("code", c), ("iss", i)], 400, Reason.STATE_MISSING),
    "empty state": (lambda c, s, i: [("code", c), ("state", "")], 400, Reason.STATE_MISSING),
    "state changed": (
        lambda c, s, i: [("code", c), ("state", s[:-1] + "~"), ("iss", i)],
        *(403, Reason.ATTEMPT_MISSING),
    ),
    "state with a space": (
        lambda c, s, i: [("code", c), ("state", s + " "), ("iss", i)],
        *(403, Reason.ATTEMPT_MISSING),
    ),
    "two states": (
        lambda c, s, i: [("code", c), ("state", s), ("iss", i), ("state", "x")],
        *(400, Reason.DUPLICATE_PARAMETER),
    ),
    "two states, ours last": (
        lambda c, s, i: [("state", "x"), ("code", c), ("state", s), ("iss", i)],
        *(400, Reason.DUPLICATE_PARAMETER),
    ),
    "two codes": (
        lambda c, s, i: [("code", c), ("state", s), ("iss", i), ("code", "x")],
        *(400, Reason.DUPLICATE_PARAMETER),
    ),
    "no iss": (lambda c, s, i: [("code", c), ("state", s)], 403, Reason.ISSUER_MISMATCH),
    "other iss": (
        lambda c, s, i: [("code", c), ("state", s), ("iss", i + "/")],
        *(403, Reason.ISSUER_MISMATCH),
    ),
    "the person said no": (
        lambda c, s, i: [("error", "access_denied"), ("state", s), ("iss", i)],
        *(403, Reason.PROVIDER_DENIED),
    ),
    "markup": (
        lambda c, s, i: [("error", "<script>"), ("state", s), ("iss", i)],
        *(403, Reason.PROVIDER_ERROR),
    ),
}


async def test_a_tampered_callback(place: Place) -> None:
    for name, (change, status, reason) in TAMPERED.items():
        browser = place.browser()
        asked = query(await browser.callback_url("/deep"))
        params = change(asked["code"], asked["state"], asked["iss"])
        answer = await browser.get(f"/oauth2/callback?{urlencode(params)}")
        assert answer.status == status, name
        refused(place, answer, status, reason, "/deep")
        assert "<script>" not in answer.text
    assert place.provider.calls["token"] == 0


async def test_an_attempt_lasts_ten_minutes(place: Place) -> None:
    place.provider.misbehave("token_400_error")
    for waited, status, reason, retry in (
        (600, 502, Reason.TOKEN_REFUSED, "/deep"),
        (601, 403, Reason.ATTEMPT_EXPIRED, "/deep"),
        (4300, 403, Reason.ATTEMPT_MISSING, "/"),  # not even readable any more
    ):
        browser = place.browser()
        state = query((await browser.get("/deep")).location)["state"]
        place.clock.advance(waited)
        issuer = quote(place.provider.issuer, safe="")
        answer = await browser.get(f"/oauth2/callback?code=c&state={state}&iss={issuer}")
        refused(place, answer, status, reason, retry)


async def test_an_attempt_of_another_key_or_purpose_is_none(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    callback = await browser.callback_url("/oauth2/start?rd=/x")
    (name,) = attempt_cookies(browser.cookies)
    for value in (browser.cookies[SESSION], "A" * 80, "", browser.cookies[name][:-4]):
        other = place.browser()
        other.cookies = {name: value}
        refused(place, await other.get(callback), 403, Reason.ATTEMPT_MISSING)


async def test_a_failed_exchange_is_not_tried_again_with_the_same_attempt(place: Place) -> None:
    browser = place.browser()
    callback = await browser.callback_url("/deep")
    held = dict(browser.cookies)
    place.provider.misbehave("token_500")
    refused(place, await browser.get(callback), 502, Reason.TOKEN_REFUSED, "/deep")
    place.provider.behave()
    browser.cookies = held
    refused(place, await browser.get(callback), 403, Reason.ATTEMPT_MISSING, "/deep")


# several tabs


async def test_two_tabs_both_complete(place: Place) -> None:
    browser = place.browser()
    first = await browser.callback_url("/one")
    second = await browser.callback_url("/two")
    assert len(attempt_cookies(browser.cookies)) == 2
    assert (await browser.get(first)).location == "/one"
    assert (await browser.get(second)).location == "/two"
    assert (await browser.get("/")).status == 200


async def test_two_tabs_at_the_same_moment_both_complete(place: Place) -> None:
    browser = place.browser()
    callbacks = [await browser.callback_url(path) for path in ("/one", "/two")]
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    answers = await asyncio.gather(
        *(browser.get(callback, headers={"Cookie": cookie}) for callback in callbacks)
    )
    assert [answer.location for answer in answers] == ["/one", "/two"]
    assert (await browser.get("/")).status == 200


async def test_the_oldest_of_too_many_tabs_gives_way(place: Place) -> None:
    browser = place.browser()
    callbacks = []
    for number in range(7):
        callbacks.append(await browser.callback_url(f"/{number}"))
        place.clock.advance(1)
        assert len(attempt_cookies(browser.cookies)) == min(number + 1, 5)
    for callback in callbacks[:2]:
        refused(place, await browser.get(callback), 403, Reason.ATTEMPT_MISSING, "/6")
    for number, callback in enumerate(callbacks[2:], 2):
        assert (await browser.get(callback)).location == f"/{number}"
    assert (await browser.get("/")).status == 200


async def test_ended_and_unreadable_attempts_are_cleared_at_the_next_start(place: Place) -> None:
    browser = place.browser()
    await browser.get("/")
    (old,) = attempt_cookies(browser.cookies)
    browser.cookies[f"{SESSION}_login_0123456789abcdef"] = "garbage"
    place.clock.advance(601)
    await browser.get("/")
    (new,) = attempt_cookies(browser.cookies)
    assert new != old


async def test_odd_cookie_names_break_nothing(place: Place) -> None:
    for name in ("x!y", "(", '"', "z" * 16, "0123456789ABCDEF", "0" * 17, "\xe9"):
        browser = place.browser()
        browser.cookies = {f"{SESSION}_login_{name}": "1", f"{SESSION}_bounces": "²"}
        answer = await browser.get("/")
        assert answer.status == 302, name
        assert len(answer.set_cookies) == 1, name


# what a new session is


async def test_a_sign_in_replaces_the_session_that_was_there(place: Place) -> None:
    attacker = place.browser()
    await attacker.sign_in("/", "mallory")
    victim = place.browser()
    victim.cookies = {SESSION: str(attacker.session)}
    await victim.get("/")
    planted = await place.identity()
    await victim.get(await victim.callback_url("/oauth2/start?rd=/", "alice"))
    assert victim.session != attacker.session
    await victim.get("/")
    mine = await place.identity()
    assert mine["sub"] == place.provider.provider.users["alice"].sub
    assert mine["sid"] != planted["sid"]
    assert (await attacker.get("/")).status == 302


async def test_every_sign_in_has_an_id_of_its_own(place: Place) -> None:
    sids = set()
    for _ in range(3):
        browser = place.browser()
        await browser.sign_in()
        await browser.get("/")
        sids.add((await place.identity())["sid"])
    assert len(sids) == 3


async def test_a_denied_person_gets_no_session_and_a_way_out() -> None:
    async with Place(access={"groups": {"any": ["staff"]}, "support_email": "help@x.org"}) as place:
        browser = place.browser()
        answer = await browser.sign_in()
        assert answer.status == 403
        assert browser.cookies == {}
        assert 'action="/oauth2/sign_out"' in answer.text
        assert "help@x.org" in answer.text
        assert "staff" not in answer.text
        (line,) = place.audited("denied")
        assert line["reason"] == "group_not_allowed"
        assert line["email"] == "alice@example.org"


async def test_a_session_too_large_for_cookies_is_a_page_and_names_redis_in_the_log() -> None:
    async with Place(claims={"extra": ["blob"]}) as place:
        # not compressible, as a thousand groups would not be either
        blob = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(1900))
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"blob": blob}
        browser = place.browser()
        await browser.sign_in()
        answer = await browser.get(await browser.callback_url("/deep"))
        refused(place, answer, 500, Reason.SESSION_TOO_LARGE, "/deep")
        assert "Redis" in place.audited("login_failed")[-1]["detail"]
        assert browser.session is None
        assert attempt_cookies(browser.cookies) == []


async def test_a_large_session_fills_several_cookies_and_a_small_one_clears_the_rest() -> None:
    async with Place(claims={"extra": ["blob"]}) as place:
        blob = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(900))
        place.provider.behaviour.userinfo_change = lambda claims: claims | {"blob": blob}
        browser = place.browser()
        answer = await browser.sign_in()
        parts = {name for name in browser.cookies if re.fullmatch(rf"{SESSION}(\.\d)?", name)}
        assert len(parts) in (2, 3)
        assert all(len(line) <= 4096 for line in answer.set_cookies)
        assert (await browser.get("/oauth2/userinfo")).status == 200
        place.provider.behaviour.userinfo_change = dict
        await browser.get(await browser.callback_url("/oauth2/start"))
        assert {n for n in browser.cookies if n.startswith(f"{SESSION}.")} == set()
        assert (await browser.get("/")).status == 200
