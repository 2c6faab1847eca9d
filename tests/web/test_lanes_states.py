"""Both lanes in every state of a session, and what the fast one remembers of others: nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.wire.inbound import HeadReader
from tests.hazards.stage import ROUTES, Line, Stage, asking, fields
from tests.web.test_lanes import PAGE, Told, compare, masked, old, tell

_COOKIE = re.compile(rb"(__Host-auth_proxy\w*)=[\w.~-]+")
_TOKEN = re.compile(rb"eyJ[\w.-]+")


def anonymous(told: Told) -> Told:
    """Without what differs between two sessions of one person."""

    def hide(data: bytes) -> bytes:
        return _TOKEN.sub(b"~", _COOKIE.sub(rb"\1=~", data))

    return [hide(one) for one in told[0]], [hide(one) for one in told[1]]


def user_of(request: bytes) -> list[bytes]:
    return [value for name, value in fields(request) if name == b"X-Forwarded-User"]


HOUR = 3600.0


@pytest.mark.parametrize("page", [b"", PAGE], ids=["program", "page"])
@pytest.mark.parametrize(
    ("seconds", "status", "fast"),
    [
        pytest.param(0.0, 200, True, id="live"),
        pytest.param(0.3 * HOUR, 200, True, id="older"),
        pytest.param(0.5 * HOUR, 200, False, id="idle limit due"),
        pytest.param(4.1 * HOUR, 0, False, id="idle too long"),
        pytest.param(12.1 * HOUR, 0, False, id="expired"),
    ],
)
async def test_as_time_goes_by(seconds: float, status: int, fast: bool, page: bytes) -> None:
    async with Stage() as stage:
        mine, other = await stage.sign_in(), await stage.sign_in()
        for cookie in (mine, other):
            await stage.warm(asking(b"/app", page + cookie))
        stage.place.clock.advance(seconds)
        asked = len(stage.taken)
        one = await tell(stage, "fast", asking(b"/app", page + mine))
        assert (True in stage.taken[asked:]) is fast
        two = await tell(stage, "slow", asking(b"/app", page + other))
        assert anonymous(one) == anonymous(two)
        expected = status or (302 if page else 401)
        assert one[1][0].startswith(b"HTTP/1.1 %d " % expected)
        assert (b"Set-Cookie" in one[1][0]) is (bool(page) if not status else not fast)


async def test_a_session_that_ends_between_two_equal_requests() -> None:
    async with Stage() as stage:
        for lane in ("fast", "slow"):
            browser = stage.place.browser()
            await browser.sign_in()
            await browser.get("/")
            cookie = f"Cookie: __Host-auth_proxy={browser.session}\r\n".encode()
            data = asking(b"/app", cookie)
            stage.choose("fast")
            await stage.warm(data)
            assert stage.taken[-1]
            await browser.post("/oauth2/sign_out")
            asked = len(stage.taken)
            seen, got = await tell(stage, lane, data)
            assert got[0].startswith(b"HTTP/1.1 401 ")
            assert [b"/app" in one for one in seen] in ([], [False])
            assert True not in stage.taken[asked:]


async def test_tokens_that_are_due() -> None:
    async with Stage(session={"refresh_every": "5m"}) as stage:
        mine, other = await stage.sign_in(), await stage.sign_in()
        for cookie in (mine, other):
            await stage.warm(asking(b"/app", cookie))
        stage.place.clock.advance(301)
        asked = len(stage.taken)
        one = await tell(stage, "fast", asking(b"/app", mine))
        assert True not in stage.taken[asked:]
        assert anonymous(one) == anonymous(await tell(stage, "slow", asking(b"/app", other)))
        assert one[1][0].startswith(b"HTTP/1.1 200 ")
        # The old cookie of a refreshed session is answered with the new one, by the slow lane.
        again = await tell(stage, "fast", asking(b"/app", mine))
        assert True not in stage.taken[asked:]
        assert b"Set-Cookie: __Host-auth_proxy=" in again[1][0]
        assert anonymous(again) == anonymous(await tell(stage, "slow", asking(b"/app", other)))


async def test_rules_and_routes(subtests: pytest.Subtests) -> None:
    routes = [
        {"path": "/admin/*", "rule": {"groups": {"any": ["nobodies"]}}},
        {"path": "/staff/*", "rule": {"groups": {"any": ["dev"]}}},
        {"path": "/keys/*", "passthrough_prefixes": ["sk-"]},
        {"path": "/replace/*", "authorization": "replace", "rewrite": "/new"},
        {"path": "/strip/*", "authorization": "strip", "preserve_host": False},
        {"path": "/reads/*", "methods": ["GET"]},
        {"path": "/api/*", "api": True, "audience": ["a", "b"]},
        *ROUTES,
    ]
    bearer = b"Authorization: Bearer sk-1\r\n"
    rows: dict[str, tuple[bytes, bytes, bool | None]] = {
        "denied": (b"/admin/x", b"", False),
        "denied, as a page": (b"/admin/x", PAGE, False),
        "allowed": (b"/staff/x", b"", True),
        "a key and a session": (b"/keys/x", bearer, None),
        "another key and a session": (b"/keys/x", b"Authorization: Bearer x\r\n", True),
        "replaced": (b"/replace/x", bearer, True),
        "stripped": (b"/strip/x", bearer, True),
        "kept": (b"/app", bearer, True),
        "its method": (b"/reads/x", b"", True),
        "its audience": (b"/api/x", b"", True),
        "optional": (b"/maybe/x", b"", True),
        "public": (b"/open/x", b"", True),
        "our sign-in page": (b"/oauth2/sign_in", b"", False),
        "user info": (b"/oauth2/userinfo", b"", False),
    }
    async with Stage(routes=routes) as stage:
        cookie = await stage.sign_in()
        for name, (target, lines, fast) in rows.items():
            with subtests.test(name):
                data = asking(target, lines + cookie)
                await tell(stage, "fast", data)
                await compare(stage, data, fast=fast)
            with subtests.test(f"{name}, nobody"):
                await compare(stage, asking(target, lines))
            with subtests.test(f"{name}, POST"):
                await compare(stage, asking(target, lines + cookie, method=b"POST"))


async def test_cookies_beside_ours(subtests: pytest.Subtests) -> None:
    async with Stage() as stage:
        mine = (await stage.sign_in()).removesuffix(b"\r\n")
        other = (await stage.sign_in()).removesuffix(b"\r\n").removeprefix(b"Cookie: ")
        name = b"__Host-auth_proxy"
        rows: dict[str, tuple[bytes, bool | None]] = {
            "alone": (mine, True),
            "among others": (mine.replace(b": ", b": a=b; ") + b"; c=d", True),
            "in a line of its own": (b"Cookie: a=b\r\n" + mine, True),
            "the same twice": (mine + b"; " + mine.removeprefix(b"Cookie: "), None),
            "two of a person": (mine + b"; " + other, False),
            "a broken one after": (mine + b"; " + name + b"=broken", False),
            "a broken one before": (mine.replace(b": ", b": %b=broken; " % name), False),
            "bouncing": (mine + b"; " + name + b"_bounces=1", False),
            "a begun sign-in": (mine + b"; " + name + b"_login_0123456789abcdef=x", None),
            "a part too many": (mine + b"; " + name + b".1=x", None),
            "cut": (mine[:-5], False),
            "one letter changed": (mine[:-1] + (b"A" if mine[-1:] != b"A" else b"B"), False),
        }
        for title, (line, fast) in rows.items():
            with subtests.test(title):
                data = asking(b"/app", line + b"\r\n")
                await tell(stage, "fast", data)
                await compare(stage, data, fast=fast)


async def test_two_people_with_otherwise_equal_heads() -> None:
    async with Stage() as stage:
        cookies = {b"alice": await stage.sign_in("alice"), b"bob": await stage.sign_in("bob")}
        for cookie in cookies.values():
            await stage.warm(asking(b"/app", cookie))
        for _ in range(3):
            for name, cookie in cookies.items():
                async with stage.line() as line:
                    await line.ask(asking(b"/app", cookie))
                    (user,) = user_of(stage.recorder.requests[-1])
                    assert user.startswith(name)
                    assert stage.taken[-1]
                    await line.ask(asking(b"/oauth2/auth", cookie))
                    assert (await line.ask(asking(b"/app"))).status == 401
                    await line.ask(asking(b"/maybe/x"))
                    assert user_of(stage.recorder.requests[-1]) == []


async def test_two_people_on_one_connection_between_proxies() -> None:
    """A hop before us may share one connection: identity belongs to the request."""
    async with Stage() as stage, stage.line() as line:
        alice, bob = await stage.sign_in("alice"), await stage.sign_in("bob")
        for cookie in (alice, bob):
            await stage.warm(asking(b"/app", cookie))
        rows = [(alice, b"alice"), (bob, b"bob"), (b"", b"")] * 10
        line.send(b"".join(asking(b"/maybe/x", cookie) for cookie, _ in rows))
        before = len(stage.recorder.requests)
        for _ in rows:
            assert (await line.answer()).status == 200
        users = [user_of(one) for one in stage.recorder.requests[before:]]
        assert [(u[0].split(b"-")[0] if u else b"") for u in users] == [name for _, name in rows]


@asynccontextmanager
async def line_from(address: str, port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


async def test_a_remembered_head_from_another_address() -> None:
    """Only one of the two peers is a trusted hop: the same bytes mean two things."""
    lines = (
        b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Host: other.example\r\n"
        b"X-Forwarded-Proto: http\r\nX-Request-Id: given\r\n"
    )
    server = {"trusted_proxies": ["127.0.0.2/32"], "hosts": ["other.example"]}
    seen: dict[tuple[str, int], bytes] = {}
    async with Stage(server=server) as stage:
        await stage.warm()
        for turn in range(4):
            for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
                async with line_from(address, stage.place.port) as line:
                    await line.ask(asking(b"/open/x", lines))
                seen[address, turn] = masked(stage.recorder.requests[-1])
        assert stage.taken[-1]
    for turn in range(4):
        assert b"X-Forwarded-For: 127.0.0.1\r\n" in seen["127.0.0.1", turn]
        assert b"X-Forwarded-For: 9.9.9.9, 127.0.0.2\r\n" in seen["127.0.0.2", turn]
        assert b"X-Forwarded-For: 127.0.0.3\r\n" in seen["127.0.0.3", turn]
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            told = seen[address, turn]
            assert (b"X-Request-Id: given" in told) is (address == "127.0.0.2")
            assert (b"X-Forwarded-Host: other.example" in told) is (address == "127.0.0.2")
            assert told == seen[address, 0]


async def test_remembered_lines_under_another_request_line(subtests: pytest.Subtests) -> None:
    """The same header lines, read with and without a memory."""
    lines = b"X-A: b\r\nContent-Length: 3\r\n"
    rows = {
        "GET": asking(b"/open/x", lines, b"abc"),
        "POST": asking(b"/open/x", lines, b"abc", b"POST"),
        "another target": asking(b"/open/y?z", lines, b"abc", b"POST"),
        "too long": asking(b"/open/" + b"y" * 9000, lines, b"abc"),
        "a longer body": asking(b"/open/x", lines, b"abc", b"PUT"),
        "HTTP/1.0": old(asking(b"/open/x", lines, b"abc")),
        "an unknown method": asking(b"/open/x", lines, b"abc", b"QUERYX"),
        "CONNECT": asking(b"a:443", lines, b"abc", b"CONNECT"),
        "two spaces": asking(b" /open/x", lines, b"abc"),
        "HTTP/2.0": asking(b"/open/x", lines, b"abc").replace(b"HTTP/1.1", b"HTTP/2.0"),
        "obs-text": asking(b"/open/\xe9", lines, b"abc"),
        "a closed route": asking(b"/app", lines, b"abc"),
        "an unread body, then GET": asking(b"/app", lines, b"abc", b"POST"),
    }
    known = asking(b"/open/known", lines, b"abc")
    async with Stage() as stage:
        front = stage.place.app._fronts[False]
        await stage.warm()
        for name, data in rows.items():
            with subtests.test(name):
                front.reader = HeadReader(front.reader._limits)  # which remembers nothing
                before = await tell(stage, "fast", data)
                await stage.warm(known)
                assert before == await tell(stage, "fast", data)
                assert before == await tell(stage, "fast", data)
