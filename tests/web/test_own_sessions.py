"""People see where they are signed in, and end it there; nobody does it for them."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import Reason
from tests.web.pages.document import Document
from tests.web.place import HOST, PUBLIC, Answer, Browser, Place

PATH = "/oauth2/sessions"
DONE = f"{PATH}?done"
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


@pytest.fixture(params=["cookie", "file"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """With sessions wherever they may be."""
    session = {"store": request.param, "file": str(tmp_path / "sessions.db")}
    async with Place(session=session) as place:
        yield place


async def signed_in(place: Place, user: str = "alice") -> Browser:
    browser = place.browser()
    await browser.sign_in(user=user)
    return browser


async def listed(browser: Browser, **options: Any) -> dict[str, Any]:
    """What a program of that browser's gets."""
    answer = await browser.get(PATH, page=False, **options)
    assert answer.status == 200, answer.text
    return json.loads(answer.body)  # type: ignore[no-any-return]


async def sid_of(browser: Browser) -> str:
    """The public name of the browser's own session."""
    return str((await listed(browser))["sessions"][0]["sid"])


async def end(
    browser: Browser, wish: str, *, headers: Mapping[str, str] = HERE, **options: Any
) -> Answer:
    token = (await listed(browser))["token"]
    return await browser.post(PATH, data={"token": token, "end": wish}, headers=headers, **options)


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/")).status == 200


async def is_out(browser: Browser) -> None:
    """Returns once the browser's session has ended: those who serve it hear of that."""
    async with asyncio.timeout(5):
        while await is_in(browser):
            pass


async def test_the_page_shows_every_session_of_the_person(place: Place) -> None:
    first = place.browser()
    start = await first.callback_url()
    await first.get(start, headers=FIREFOX)
    place.clock.advance(7300)
    second, bob = await signed_in(place), await signed_in(place, "bob")
    answer = await second.get(PATH)
    assert answer.status == 200
    found = Document(answer.body)
    assert found.within("h1") == ["Your sessions"]
    assert "Firefox on Linux" in found.within("strong")
    assert found.within("time") == ["just now", "just now", "2 hours ago", "2 hours ago"]
    assert found.text.count("This browser") == 1
    assert "alice@example.org" in found.within("bdi")
    assert "bob@" not in answer.text
    values = [button["value"] for button in found.all("button")]
    assert values == [await sid_of(second), await sid_of(first), "others"]
    assert await sid_of(bob) not in answer.text


async def test_the_page_is_as_guarded_as_the_others(place: Place) -> None:
    browser = await signed_in(place)
    answer = await browser.get(PATH, headers={"Accept-Language": "fr"})
    assert "Vos sessions" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script" not in answer.text
    head = await browser.request("HEAD", PATH)
    assert (head.status, head.body) == (200, b"")
    for host, status in ((HOST, 200), ("evil.example", 421)):
        assert (await browser.get(PATH, headers={"Host": host})).status == status


async def test_a_program_gets_a_list_and_nothing_secret(kept: Place) -> None:
    place = kept
    other, browser = await signed_in(place), await signed_in(place)
    document = await listed(browser, headers=FIREFOX)
    mine, others = document["sessions"]
    assert set(mine) == {
        "sid", "current", "browser", "address", "started_at", "last_used_at", "expires_at",
    }  # fmt: skip
    assert (mine["current"], others["current"]) == (True, False)
    assert mine["address"] == "127.0.0.1"
    assert mine["started_at"] == mine["last_used_at"] == int(place.clock())
    assert document["more"] is False
    text = json.dumps(document)
    for cookie in (browser.session, other.session):
        assert cookie is not None
        assert cookie not in text
    opened = await place.app.parts.sessions.all(
        [(b"__Host-auth_proxy", _raw(browser))], mine["started_at"]
    )
    assert opened[0].session.id not in text


def _raw(browser: Browser) -> bytes:
    assert browser.session is not None
    return browser.session.encode()


async def test_one_session_ends_and_the_rest_go_on(kept: Place) -> None:
    place = kept
    one, two, mine = [await signed_in(place) for _ in range(3)]
    wish = await sid_of(one)
    answer = await end(mine, wish)
    assert (answer.status, answer.location) == (303, DONE)
    await is_out(one)
    assert await is_in(two)
    assert await is_in(mine)
    assert len((await listed(mine))["sessions"]) == 2
    (line,) = place.audited("session_ended")
    told = {name: line[name] for name in ("reason", "by", "sid", "sessions", "email", "path")}
    assert told == {
        "reason": "session_ended",
        "by": "self",
        "sid": wish,
        "sessions": 1,
        "email": "alice@example.org",
        "path": PATH,
    }
    assert (await end(mine, wish)).status == 404  # it is over already


async def test_all_others_end_and_this_one_goes_on(kept: Place) -> None:
    place = kept
    one, two, bob, mine = [
        await signed_in(place, user) for user in ("alice", "alice", "bob", "alice")
    ]
    answer = await end(mine, "others", page=False, headers={"Accept": "application/json"})
    assert (answer.status, json.loads(answer.body)) == (200, {"ended": 2})
    await is_out(one)
    await is_out(two)
    assert await is_in(mine)
    assert await is_in(bob)
    assert [s["current"] for s in (await listed(mine))["sessions"]] == [True]
    (line,) = place.audited("session_ended")
    assert (line["by"], line["sessions"]) == ("self", 2)
    assert "sid" not in line
    place.clock.advance(5)
    assert await is_in(await signed_in(place))  # who comes later is not concerned
    assert await is_in(mine)


async def test_ending_this_one_is_signing_out(place: Place) -> None:
    browser = await signed_in(place)
    answer = await end(browser, await sid_of(browser))
    assert (answer.status, answer.location) == (303, "/oauth2/sign_out")
    answer = await browser.get(answer.location, headers=HERE)
    assert answer.location.startswith(f"{place.provider.issuer}/session/end?")
    assert browser.session is None
    assert place.audited("session_ended") == []


async def test_only_ones_own_can_be_ended(place: Place) -> None:
    bob, mine = await signed_in(place, "bob"), await signed_in(place)
    theirs = await sid_of(bob)
    answers = [await end(mine, wish) for wish in (theirs, "0" * 32, "../x", "everybody")]
    assert {answer.status for answer in answers} == {404}
    ids = [re.sub(r"[0-9a-f]{16}", "", answer.text) for answer in answers]
    assert ids[0] == ids[1]
    assert f'href="{PATH}"' in answers[0].text
    assert await is_in(bob)
    answer = await end(mine, theirs, page=False)
    assert (answer.status, json.loads(answer.body)["error"]) == (404, "not_found")
    assert place.audited("session_ended") == []


WISHES: list[tuple[str, dict[str, str], bool]] = [
    ("a page of ours", {"Sec-Fetch-Site": "same-origin"}, True),
    ("a subdomain", {"Sec-Fetch-Site": "same-site"}, False),
    ("another site", {"Sec-Fetch-Site": "cross-site"}, False),
    ("typed, which no form is", {"Sec-Fetch-Site": "none"}, False),
    ("odd", {"Sec-Fetch-Site": "weird"}, False),
    ("our origin", {"Origin": PUBLIC}, True),
    ("another origin", {"Origin": "https://evil.example"}, False),
    ("begins like ours", {"Origin": f"{PUBLIC}.evil.example"}, False),
    ("hidden origin", {"Origin": "null"}, False),
    ("hidden, but ours", {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, True),
    ("pretended origin", {"Origin": PUBLIC, "Sec-Fetch-Site": "cross-site"}, False),
    ("a program", {}, True),
]


async def test_whose_wish_it_is(place: Place) -> None:
    mine = await signed_in(place)
    for name, headers, wanted in WISHES:
        place.clock.advance(1)  # whoever signs in at the very moment of an ending is ended
        other = await signed_in(place)
        answer = await end(mine, "others", headers=headers)
        assert answer.status == (303 if wanted else 403), name
        if not wanted:
            assert Reason.CROSS_SITE in answer.text, name
            assert await is_in(other), name


async def test_nothing_happens_without_the_token_of_this_very_session(place: Place) -> None:
    bob, other, mine = [await signed_in(place, user) for user in ("bob", "alice", "alice")]
    tokens = [(await listed(each))["token"] for each in (bob, other)]
    good = (await listed(mine))["token"]
    fields: list[Any] = [
        {"end": "others"},
        {"end": "others", "token": ""},
        *({"end": "others", "token": token} for token in tokens),
        {"end": "others", "token": good[:-1]},
        [("end", "others"), ("token", good), ("token", good)],
    ]
    for data in fields:
        answer = await mine.post(PATH, data=data, headers=HERE)
        assert answer.status == 403, data
        assert Reason.CROSS_SITE in answer.text
    assert await is_in(other)


async def test_the_token_outlives_a_change_of_the_secret(place: Place) -> None:
    other, mine = await signed_in(place), await signed_in(place)
    token = (await listed(mine))["token"]
    old = place.settings().cookie.secret[0].reveal()
    await place.start_proxy(cookie={"secret": [secrets.token_urlsafe(32), old]})
    assert (await listed(mine))["token"] != token
    answer = await mine.post(PATH, data={"end": "others", "token": token}, headers=HERE)
    assert answer.status == 303
    del other


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ({}, {}),
        ({"end": ""}, {}),
        ([("end", "others"), ("end", "others")], {}),
        (b'{"end": "others"}', {"Content-Type": "application/json"}),
        (b"end=others", {"Content-Type": "text/plain"}),
        (b"end=\xff\xfe", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
async def test_what_is_no_wish_is_refused(place: Place, data: Any, headers: dict[str, str]) -> None:
    mine, other = await signed_in(place), await signed_in(place)
    token = (await listed(mine))["token"]
    if not isinstance(data, bytes):
        data = [*(data.items() if isinstance(data, dict) else data), ("token", token)]
    answer = await mine.post(PATH, data=data, headers={**HERE, **headers})
    assert answer.status == 400
    assert await is_in(other)


async def test_only_reading_and_posting(place: Place) -> None:
    mine = await signed_in(place)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = await mine.request(method, PATH)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


async def test_whoever_is_not_signed_in_does_so_and_comes_back(place: Place) -> None:
    browser = place.browser()
    answer = await browser.sign_in(PATH)
    assert (answer.status, answer.location) == (303, PATH)
    assert (await browser.get(PATH)).status == 200
    stranger = place.browser()
    answer = await stranger.get(PATH, page=False)
    assert (answer.status, json.loads(answer.body)["error"]) == (401, "no_session")
    answer = await stranger.post(PATH, data={"end": "others"}, headers=HERE)
    assert (answer.status, answer.location) == (303, PATH)
    answer = await stranger.post(PATH, data={"end": "others"}, headers=HERE, page=False)
    assert answer.status == 401


async def test_whoever_may_not_come_in_any_more_sees_nothing(place: Place) -> None:
    mine, other = await signed_in(place), await signed_in(place)
    token = (await listed(mine))["token"]
    await place.start_proxy(access={"email_domains": ["elsewhere.example"]})
    page = await mine.get(PATH)
    assert page.status == 403
    assert Reason.EMAIL_NOT_ALLOWED in page.text
    answer = await mine.post(PATH, data={"end": "others", "token": token}, headers=HERE)
    assert answer.status == 403
    assert Reason.EMAIL_NOT_ALLOWED in answer.text
    assert place.audited("session_ended") == []
    del other


async def test_done_is_said_only_after_our_own_form(place: Place) -> None:
    mine = await signed_in(place)
    words = "Done. It may take a second"
    assert words in (await mine.get(DONE, headers=HERE)).text
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none"}):
        assert words not in (await mine.get(DONE, headers=headers)).text
    assert words not in (await mine.get(PATH, headers=HERE)).text


async def test_a_session_that_nobody_has_written_down_is_shown_to_its_owner(place: Place) -> None:
    mine = await signed_in(place)
    await place.start_proxy()  # with a memory of its own
    (shown,) = (await listed(mine, headers=FIREFOX))["sessions"]
    assert (shown["current"], shown["browser"]) == (True, "Firefox on Linux")


async def test_more_sessions_than_a_page_holds() -> None:
    async with Place(session={"max_per_person": 0}) as place:
        mine = await signed_in(place)
        keeping, clock = place.app.parts.keeping, place.clock
        (opened,) = await place.app.parts.sessions.all(
            [(b"__Host-auth_proxy", _raw(mine))], clock()
        )
        for number in range(250):
            session = replace(opened.session, id=f"other {number}", seen_at=clock() - number)
            await keeping.register.begin(session, "value", "", "", clock())
        document = await listed(mine)
        assert (len(document["sessions"]), document["more"]) == (200, True)
        assert document["sessions"][0]["current"] is True
        page = await mine.get(PATH)
        assert "Only those that were used last are shown." in page.text
        answer = await end(mine, "others", page=False)
        assert json.loads(answer.body) == {"ended": 250}


async def test_a_lost_store_is_503_and_nobody_is_signed_out(place: Place) -> None:
    mine = await signed_in(place)
    token = (await listed(mine))["token"]
    await place.app.parts.keeping.shelf.close()
    answers = [await mine.get(PATH)]
    for wish in ("others", "0" * 32):
        data = {"end": wish, "token": token}
        answers.append(await mine.post(PATH, data=data, headers=HERE))
    for answer in answers:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.set_cookies == []
        assert "<h1>" in answer.text
        assert f'href="{PATH}"' in answer.text
    assert mine.session is not None


async def test_without_authentication_there_are_no_sessions() -> None:
    async with Place(auth={"disabled": True}, cookie={"secret": ()}) as place:
        assert (await place.browser().get(PATH)).status == 404
