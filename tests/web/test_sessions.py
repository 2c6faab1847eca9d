"""A session is what our own cookie holds, while it lives; anything else is no session."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.place import HOST, SECRET, Browser, Place, attempt_cookies

SESSION = "__Host-auth_proxy"
HOUR = 3600
NEWER = base64.urlsafe_b64encode(bytes(range(60, 92))).decode()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


def holding(place: Place, **cookies: str) -> Browser:
    browser = place.browser()
    browser.cookies = {name.replace("session", SESSION): value for name, value in cookies.items()}
    return browser


async def test_a_cookie_that_is_not_ours_is_no_session(place: Place) -> None:
    signed_in = place.browser()
    await signed_in.sign_in()
    good = str(signed_in.session)
    await signed_in.get("/oauth2/start")
    attempt = signed_in.cookies[attempt_cookies(signed_in.cookies)[0]]
    middle = len(good) // 2
    flipped = "A" if good[middle] != "A" else "B"
    assert (await holding(place, session=good).get("/")).status == 200
    known = len(place.upstream.seen)
    for case, value in {
        "empty": "",
        "garbage": "garbage",
        "truncated": good[:-1],
        "a tag cut short": good[:-8],
        "extended": good + "A",
        "padded": good + "=",
        "one character changed": good[:middle] + flipped + good[middle + 1 :],
        "another case": good.swapcase(),
        "quoted": f'"{good}"',
        "a count without parts": f"2.{good}",
        "a count too many": f"9.{good}",
        "a huge count": f"0299999999999999.{good}",
        "an attempt": attempt,
        "a JWT": "eyJhbGciOiJub25lIn0.e30.",
        "long": "A" * 9000,
        "percent": "%00%0d%0a",
    }.items():
        answer = await holding(place, session=value).get("/")
        assert (answer.status, answer.location[:4]) == (302, "http"), case
        program = await holding(place, session=value).get("/", page=False)
        assert program.status == 401, case
        assert (await holding(place, session=value).get("/oauth2/auth")).status == 401, case
    for name in (
        "__host-auth_proxy",
        " __Host-auth_proxy\xa0",
        "auth_proxy",
        "__Host-auth_proxy.0",
    ):
        assert (await holding(place, **{name: good}).get("/")).status == 302, name
    assert len(place.upstream.seen) == known


async def test_a_session_does_not_open_as_an_attempt_or_a_memory(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    callback = await browser.callback_url("/oauth2/start")
    (name,) = attempt_cookies(browser.cookies)
    other = place.browser()
    other.cookies = {name: str(browser.session)}
    assert (await other.get(callback)).status == 403


async def test_two_cookies_of_our_name(place: Place) -> None:
    alice, bob = place.browser(), place.browser()
    await alice.sign_in("/", "alice")
    await bob.sign_in("/", "bob")
    one, two = f"{SESSION}={alice.session}", f"{SESSION}={bob.session}"
    for cookie, status in {
        f"{one}; {one}": 200,
        f"{SESSION}=garbage; {one}": 200,
        f"{one}; {SESSION}=garbage": 200,
        f"{one}; {two}": 302,
        f"={one}": 302,
        f"$Version=1; {one}": 200,
        f"; ;; {one};": 200,
        f"a=b;{one}": 200,
        f'x="; {one}; y="': 200,
    }.items():
        answer = await place.browser().get("/", headers={"Cookie": cookie})
        assert answer.status == status, cookie


async def test_a_session_ends_when_it_is_not_used(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    place.clock.advance(4 * HOUR - 1)
    assert (await holding(place, session=str(browser.session)).get("/")).status == 200
    place.clock.advance(1)
    assert (await holding(place, session=str(browser.session)).get("/")).status == 302


async def test_use_moves_the_idle_limit_after_a_tenth_of_it(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    first = browser.session
    place.clock.advance(0.4 * HOUR - 1)
    assert (await browser.get("/")).status == 200
    assert browser.session == first
    place.clock.advance(1)
    answer = await browser.get("/")
    (line,) = (line for line in answer.set_cookies if line.startswith(f"{SESSION}="))
    assert f"Max-Age={int(11.6 * HOUR)};" in line
    assert "; Secure; HttpOnly; SameSite=Lax" in line
    assert browser.session != first
    place.clock.advance(4 * HOUR - 1)
    assert (await browser.get("/")).status == 200
    assert (await holding(place, session=str(first)).get("/")).status == 302


@pytest.mark.parametrize("path", ["/", "/oauth2/auth", "/oauth2/userinfo", "/oauth2/identity"])
async def test_no_use_moves_the_absolute_end(place: Place, path: str) -> None:
    browser = place.browser()
    await browser.sign_in()
    ends = place.clock() + 12 * HOUR
    while place.clock() + HOUR < ends:
        place.clock.advance(HOUR)
        answer = await browser.get(path)
        assert answer.status in (200, 202)
        for line in answer.set_cookies:
            found = re.search(r"Max-Age=(\d+)", line)
            assert found
            assert place.clock() + int(found[1]) <= ends
    place.clock.advance(HOUR - 1)
    assert (await browser.get("/")).status == 200
    place.clock.advance(1)
    assert (await browser.get("/")).status == 302


async def test_without_an_idle_limit_cookies_stay_as_they_are() -> None:
    async with Place(session={"idle_timeout": 0, "lifetime": "2h"}) as place:
        browser = place.browser()
        await browser.sign_in()
        await browser.get("/")
        place.clock.advance(2 * HOUR - 1)
        answer = await browser.get("/")
        assert (answer.status, answer.set_cookies) == (200, [])
        place.clock.advance(1)
        assert (await browser.get("/")).status == 302


async def test_nothing_is_signed_for_a_session_in_its_last_moment() -> None:
    async with Place(session={"idle_timeout": 0}) as place:
        place.clock.advance(0.9)
        browser = place.browser()
        await browser.sign_in()
        place.clock.advance(12 * HOUR - 0.5)
        assert (await browser.get("/oauth2/userinfo")).status == 200
        for path in ("/", "/oauth2/identity", "/oauth2/auth"):
            assert (await browser.get(path)).status == 401
        assert place.upstream.seen == []


async def test_keys_rotate_without_signing_anybody_out(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    old = str(browser.session)
    await place.start_proxy(cookie={"secret": [NEWER, SECRET]})
    assert (await browser.get("/")).status == 200
    place.clock.advance(HOUR)
    await browser.get("/")
    assert browser.session != old
    await place.start_proxy(cookie={"secret": [NEWER]})
    assert (await browser.get("/")).status == 200
    assert (await holding(place, session=old).get("/")).status == 302
    await place.start_proxy(cookie={"secret": [SECRET]})
    assert (await browser.get("/")).status == 302


async def test_a_copied_cookie_ends_with_the_session(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    first = str(browser.session)
    place.clock.advance(HOUR)
    await browser.get("/")
    second = str(browser.session)
    await browser.post("/oauth2/sign_out")
    for value in (first, second):
        assert (await holding(place, session=value).get("/")).status == 302


# whatever the Cookie header holds


@dataclass(frozen=True)
class Running:
    """A proxy whose event loop runs only while it is asked.

    In a thread of its own it could log a traceback while hypothesis parses sources, and
    ``ast.parse`` of CPython up to 3.11.7 fails when two of them meet (gh-106905).
    """

    runner: asyncio.Runner
    port: int
    cookie: bytes

    def status(self, cookie: bytes) -> int:
        return self.runner.run(self._ask(cookie))

    async def _ask(self, cookie: bytes) -> int:
        head = b"GET / HTTP/1.1\r\nHost: %s\r\nAccept: text/html\r\nCookie: %s\r\n\r\n"
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(head % (HOST.encode(), cookie))
            answer = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()
        return int(answer.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    place = Place()

    async def start() -> bytes:
        await place.__aenter__()
        browser = place.browser()
        await browser.sign_in()
        return str(browser.session).encode()

    with asyncio.Runner() as runner:
        cookie = runner.run(start())
        try:
            yield Running(runner, place.port, cookie)
        finally:
            runner.run(place.__aexit__(None, None, None))


NAMES = st.sampled_from([b"", b".1", b".2", b".9", b"_logout", b"_bounces", b"_login_", b"_x"])
VALUES = st.one_of(
    st.binary(max_size=80),
    st.from_regex(rb"[0-9]{1,20}\.[A-Za-z0-9_-]{0,60}", fullmatch=True),
    st.from_regex(rb"[A-Za-z0-9_=-]{0,200}", fullmatch=True),
)
PAIRS = st.tuples(NAMES, VALUES).map(lambda pair: b"__Host-auth_proxy" + pair[0] + b"=" + pair[1])
HEADERS = st.one_of(st.binary(max_size=300), st.lists(PAIRS, max_size=8).map(b"; ".join))
BREAKS = re.compile(rb"[\r\n]")


@settings(max_examples=150)
@given(cookie=HEADERS)
def test_no_cookie_header_is_ever_a_fault(running: Running, cookie: bytes) -> None:
    status = running.status(BREAKS.sub(b"", cookie))
    allowed = {302}
    if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", cookie):
        allowed.add(400)
    if b"_bounces=" in cookie:
        allowed.add(403)  # it counts to a loop
    assert status in allowed


@settings(max_examples=100)
@given(at=st.integers(0, 2**16), bit=st.integers(0, 7), cut=st.integers(0, 30))
def test_no_damaged_cookie_is_a_session(running: Running, at: int, bit: int, cut: int) -> None:
    value = bytearray(running.cookie)
    if cut % 2:
        del value[at % len(value) :][:cut]
    value[at % len(value)] ^= 1 << bit
    damaged = BREAKS.sub(b"", bytes(value))
    assert running.status(b"__Host-auth_proxy=" + damaged) in (302, 400)
    assert running.status(b"__Host-auth_proxy=" + running.cookie) == 200
