"""Every request, end to end: what is refused, what is answered, what is said about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.web.place import HOST, PUBLIC, Place

ROUTES = [
    {"path": "/open/*", "access": "public"},
    {"path": "/maybe/*", "access": "optional"},
    {"path": "/api/*", "api": True},
    {"path": "/admin/*", "rule": {"groups": {"any": ["admins"]}}},
    {"path": "/posts", "methods": ["POST"], "access": "public"},
]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(routes=ROUTES) as place:
        yield place


async def raw(place: Place, data: bytes) -> bytes:
    """What the proxy answers to these bytes, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/", {}, 302, id="navigation by Fetch Metadata"),
        pytest.param("/", {"Sec-Fetch-Mode": "cors"}, 401, id="fetch"),
        pytest.param("/", {"X-Requested-With": "XMLHttpRequest"}, 401, id="old XHR"),
        pytest.param("/api/x", {}, 401, id="api route never redirects"),
        pytest.param("/open/x", {}, 200, id="public"),
        pytest.param("/maybe/x", {}, 200, id="optional"),
        pytest.param("/posts", {}, 302, id="public for another method only"),
        pytest.param("/oauth2/nothing", {}, 404, id="below our prefix nothing is forwarded"),
        pytest.param("/oauth2", {}, 404, id="the prefix itself"),
    ],
)
async def test_without_a_session(
    place: Place, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await place.browser().get(path, headers=headers)
    assert answer.status == status
    assert answer.headers["X-Request-Id"]
    if status == 401:
        document = json.loads(answer.body)
        assert document["error"] == "no_session"
        assert document["login_url"].startswith(f"{PUBLIC}/oauth2/start")
        assert answer.headers["WWW-Authenticate"]
        assert answer.set_cookies == []


@pytest.mark.parametrize("user", ["alice", "bob"])
async def test_a_route_rule_decides_on_every_request(place: Place, user: str) -> None:
    browser = place.browser()
    await browser.sign_in("/", user)
    answer = await browser.get("/admin/x")
    assert answer.status == (200 if user == "alice" else 403)
    program = await browser.get("/admin/x", page=False)
    assert program.status == answer.status
    if user == "bob":
        assert json.loads(program.body)["error"] == "group_not_allowed"
        assert b"admins" not in program.body + answer.body
        assert '"event": "denied", "reason": "group_not_allowed"' in place.logged()


async def test_an_optional_route_brings_the_identity_if_there_is_one(place: Place) -> None:
    browser = place.browser()
    await browser.get("/maybe/x", headers={"X-Forwarded-User": "root"})
    assert place.upstream.header("X-Forwarded-User") == []
    await browser.sign_in()
    await browser.get("/maybe/x")
    assert place.upstream.header("X-Forwarded-User")
    assert (await place.identity())["email"] == "alice@example.org"


async def test_a_public_route_never_brings_an_identity(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    await browser.get("/open/x", headers={"X-Forwarded-Identity": "forged"})
    assert place.upstream.header("X-Forwarded-Identity") == []
    assert place.upstream.header("Cookie") == []


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        pytest.param("GET / HTTP/1.1", "Host: evil.example", 421, id="foreign host"),
        pytest.param("GET / HTTP/1.1", f"Host: {HOST}\r\nHost: {HOST}", 400, id="two hosts"),
        pytest.param("GET / HTTP/1.1", "Accept: */*", 400, id="no host"),
        pytest.param("GET / HTTP/1.1", f"Host: {HOST}@evil.example", 400, id="user in host"),
        pytest.param("TRACE / HTTP/1.1", f"Host: {HOST}", 405, id="TRACE"),
        pytest.param(f"CONNECT {HOST}:443 HTTP/1.1", f"Host: {HOST}", 405, id="CONNECT"),
        pytest.param("GET /a/../b HTTP/1.1", f"Host: {HOST}", 400, id="dot segments"),
        pytest.param("GET //b HTTP/1.1", f"Host: {HOST}", 400, id="empty segment"),
        pytest.param("GET /a%2fb HTTP/1.1", f"Host: {HOST}", 400, id="escaped slash"),
        pytest.param("GET /a%00b HTTP/1.1", f"Host: {HOST}", 400, id="escaped NUL"),
        pytest.param("GET /a%252e HTTP/1.1", f"Host: {HOST}", 400, id="escaped twice"),
        pytest.param("GET /a#b HTTP/1.1", f"Host: {HOST}", 400, id="fragment"),
        pytest.param("GET http://evil.example/ HTTP/1.1", f"Host: {HOST}", 400, id="absolute"),
        pytest.param("POST / HTTP/1.1", f"Host: {HOST}\r\nExpect: x\r\nContent-Length: 1", 401,
                     id="nobody is asked to continue"),
        pytest.param("GET /open/ HTTP/1.1", f"Host: {HOST}\r\nX-Big: {'x' * 33000}", 431,
                     id="one huge header"),
        pytest.param("GET /open/ HTTP/1.1", f"Host: {HOST}" + "\r\nX-A: b" * 120, 431,
                     id="many headers"),
        pytest.param("GET /open/ HTTP/1.1", f"Host: {HOST}" + ("\r\nX-A: " + "b" * 800) * 60, 431,
                     id="many large headers"),
    ],
)  # fmt: skip
async def test_a_doubtful_request_is_refused(
    place: Place, request_line: str, headers: str, status: int
) -> None:
    data = f"{request_line}\r\n{headers}\r\nConnection: close\r\n\r\n".encode()
    answer = await raw(place, data)
    assert answer.partition(b" ")[2].startswith(f"{status} ".encode()), answer[:200]
    assert place.upstream.seen == []
    assert b"aiohttp" not in answer


async def test_a_healthcheck_needs_no_known_host(place: Place) -> None:
    head = b"GET /ping HTTP/1.1\r\nHost: 10.0.0.7:4180\r\nConnection: close\r\n\r\n"
    answer = await raw(place, head)
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_our_endpoints_refuse_other_methods(place: Place) -> None:
    for path in ("/oauth2/start", "/oauth2/callback", "/oauth2/userinfo", "/ping"):
        assert (await place.browser().request("DELETE", path)).status == 405


async def test_a_head_uses_up_no_code_and_signs_nobody_out(place: Place) -> None:
    browser = place.browser()
    callback = await browser.callback_url()
    assert (await browser.request("HEAD", callback)).status == 405
    assert (await browser.get(callback)).status == 303
    assert (await browser.request("HEAD", "/oauth2/sign_out")).status == 405
    assert (await browser.get("/")).status == 200


async def test_forward_auth_takes_any_method(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        assert (await browser.request(method, "/oauth2/auth", page=False)).status == 202


async def test_the_access_log_holds_no_query(place: Place) -> None:
    await place.browser().get("/chat?token=very-secret")
    line = json.loads(place.logged().splitlines()[-1])
    assert line["path"] == "/chat"
    assert "very-secret" not in place.logged()


async def test_a_fault_of_ours_is_a_500_with_an_id_and_no_words_of_it(place: Place) -> None:
    async def broken(visit: object) -> object:
        raise RuntimeError("secret detail")

    place.app.parts.sessions.find = broken  # type: ignore[assignment, method-assign]
    browser = place.browser()
    browser.cookies["__Host-auth_proxy"] = "x"
    answer = await browser.request("GET", "/", headers={"Cookie": "__Host-auth_proxy=x"})
    assert answer.status == 500
    assert b"secret detail" not in answer.body
    assert answer.headers["X-Request-Id"] in place.logged()


async def test_an_idle_session_is_renewed_and_a_dead_one_ends(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    first = browser.session
    assert (await browser.get("/")).set_cookies == [
        "__Host-auth_proxy_bounces=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    ]
    place.clock.advance(3600)
    await browser.get("/")
    assert browser.session != first
    place.clock.advance(4 * 3600 + 1)
    assert (await browser.get("/")).status == 302


async def test_a_session_never_outlives_its_absolute_end(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    for _ in range(11):
        place.clock.advance(3600)
        assert (await browser.get("/")).status == 200
    place.clock.advance(3600)
    assert (await browser.get("/")).status == 302
