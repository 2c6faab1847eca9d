"""Forwarding through a real proxy: streams, bodies, back-pressure, WebSockets, faults."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.fakes.upstream import EchoUpstream
from tests.web.place import HOST, PUBLIC, Browser, Place

OPEN = [{"path": "/*", "access": "public"}]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(routes=OPEN) as place:
        yield place


def cookie(browser: Browser) -> str:
    return "; ".join(f"{k}={v}" for k, v in browser.cookies.items())


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_any_method_and_the_raw_target_reach_the_upstream(place: Place, method: str) -> None:
    answer = await place.browser().request(method, "/a%20b/c?x=%2F&y=%zz", page=False)
    assert answer.status == 200
    assert place.upstream.last["method"] == method
    assert place.upstream.last["target"] == "/a%20b/c?x=%2F&y=%zz"


async def test_header_values_arrive_byte_for_byte(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(
        b"GET /x HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n"
        b"X-Keep: \x85admin\xa0caf\xe9\r\nX_Alias: 1\r\n\r\n" % HOST.encode()
    )
    await reader.read()
    writer.close()
    await writer.wait_closed()
    assert place.upstream.header("X-Keep") == ["\x85admin\xa0café"]
    assert place.upstream.header("X_Alias") == []


async def test_forwarding_headers_are_rebuilt(place: Place) -> None:
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": "/evil",
        "X-Original-URL": "/admin",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
    }
    await place.browser().get("/x", headers=forged)
    assert place.upstream.header("X-Forwarded-For") == ["127.0.0.1"]
    assert place.upstream.header("X-Forwarded-Host") == [HOST]
    assert place.upstream.header("X-Forwarded-Proto") == ["https"]
    for name in ("X-Forwarded-Prefix", "X-Original-URL", "Forwarded", "X-Real-IP"):
        assert place.upstream.header(name) == []


async def test_a_trusted_hop_is_believed() -> None:
    async with Place(routes=OPEN, server={"trusted_proxies": ["127.0.0.0/8"]}) as place:
        told = {
            "X-Forwarded-For": "6.6.6.6, 203.0.113.7",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": HOST,
            "Host": "internal",
            "X-Request-Id": "outer-1",
        }
        answer = await place.browser().get("/x", headers=told)
        assert answer.headers["X-Request-Id"] == "outer-1"
        assert place.upstream.header("X-Forwarded-For") == ["6.6.6.6, 203.0.113.7, 127.0.0.1"]
        assert place.upstream.header("Host") == [HOST]
        line = json.loads(place.logged().splitlines()[-1])
        assert line["client"] == "203.0.113.7"


async def test_events_arrive_one_by_one(place: Place) -> None:
    url = f"http://127.0.0.1:{place.port}/sse"
    async with place.http.get(url, headers={"Host": HOST}) as response:
        for number in range(5):
            place.upstream.events.put_nowait(f"event {number}")
            async with asyncio.timeout(2):
                assert await response.content.readline() == f"data: event {number}\n".encode()
                await response.content.readline()
        place.upstream.events.put_nowait(None)
        assert await response.content.read() == b""


async def test_a_client_that_leaves_aborts_the_upstreams_work(place: Place) -> None:
    url = f"http://127.0.0.1:{place.port}/hold"
    asking = asyncio.create_task(place.http.get(url, headers={"Host": HOST}))
    async with asyncio.timeout(2):
        await place.upstream.arrived.wait()
        asking.cancel()
        await place.upstream.gone.wait()


async def test_a_large_upload_streams_through(place: Place) -> None:
    block = bytes(range(256)) * 256

    async def body() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield block

    url = f"http://127.0.0.1:{place.port}/upload"
    async with place.http.post(url, data=body(), headers={"Host": HOST}) as response:
        document = json.loads(await response.read())
    assert document["size"] == 256 * len(block)
    assert document["sha256"] == hashlib.sha256(block * 256).hexdigest()


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with Place(routes=OPEN, server={"max_body_size": "1KiB"}) as place:
        announced = await place.browser().post("/x", page=False, data=b"x" * 2000)
        assert announced.status == 413

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 2000

        streamed = await place.browser().post("/x", page=False, data=chunks())
        assert streamed.status == 413
        assert place.upstream.seen == []


async def test_the_body_is_asked_for_only_when_the_request_is_let_in() -> None:
    async with Place(routes=[{"path": "/open", "access": "public"}]) as place:
        for path, first in (("/closed", b"HTTP/1.1 401 "), ("/open", b"HTTP/1.1 100 ")):
            reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            writer.write(
                b"POST %b HTTP/1.1\r\nHost: %b\r\nExpect: 100-continue\r\n"
                b"Content-Length: 4\r\nConnection: close\r\n\r\n" % (path.encode(), HOST.encode())
            )
            async with asyncio.timeout(2):
                assert (await reader.readline()).startswith(first)
                if first.endswith(b"100 "):
                    await reader.readline()
                    writer.write(b"body")
                    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()
        assert place.upstream.last["body"] == "body"
        assert place.upstream.header("Expect") == []


async def test_an_upstream_cannot_set_our_cookies_or_speak_in_our_name(place: Place) -> None:
    answer = await place.browser().get("/cookies")
    assert answer.set_cookies == ["app=1; Path=/"]
    assert "X-Auth-Request-User" not in answer.headers


@pytest.mark.parametrize(
    ("upstream", "status", "reason"),
    [
        pytest.param("http://127.0.0.1:1", 502, "upstream_unreachable", id="nobody listens"),
        pytest.param("http://nowhere.invalid", 502, "upstream_unreachable", id="no such name"),
    ],
)
async def test_an_unreachable_upstream(upstream: str, status: int, reason: str) -> None:
    async with Place(routes=[{"path": "/*", "access": "public", "upstream": upstream}]) as place:
        page = await place.browser().get("/x")
        assert page.status == status
        assert page.headers["Content-Type"].startswith("text/html")
        program = await place.browser().get("/x", page=False)
        assert json.loads(program.body)["error"] == reason
        assert (await place.browser().get("/ping")).status == 200


async def test_a_silent_upstream_is_a_504() -> None:
    async with Place(routes=OPEN, forwarding={"response_timeout": 0.2}) as place:
        answer = await place.browser().get("/hold", page=False)
        assert answer.status == 504
        assert json.loads(answer.body)["error"] == "upstream_timeout"


async def test_several_upstreams_by_longest_prefix_with_rewrite() -> None:
    async with EchoUpstream() as other, EchoUpstream() as third:
        routes = [
            {"path": "/api/*", "access": "public", "upstream": other.url, "rewrite": "/"},
            {"path": "/api/v2/*", "access": "public", "upstream": f"{third.url}/base"},
            {"path": "/*", "access": "public"},
        ]
        async with Place(routes=routes) as place:
            browser = place.browser()
            for path in ("/api/users?a=1", "/api/v2/users", "/apis", "/%61pi/x", "/api"):
                assert (await browser.get(path)).status == 200
            assert [s["target"] for s in other.seen] == ["/users?a=1", "/x", "/"]
            assert [s["target"] for s in third.seen] == ["/base/api/v2/users"]
            assert [s["target"] for s in place.upstream.seen] == ["/apis"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("keep", "Bearer app-key"), ("strip", None), ("replace", "identity")],
)
async def test_authorization_per_route(mode: str, expected: str | None) -> None:
    async with Place(routes=[{"path": "/*", "authorization": mode}]) as place:
        browser = place.browser()
        await browser.sign_in()
        await browser.get("/x", headers={"Authorization": "Bearer app-key"})
        found = place.upstream.header("Authorization")
        if expected == "identity":
            assert found == [f"Bearer {place.upstream.header('X-Forwarded-Identity')[0]}"]
        else:
            assert found == ([expected] if expected else [])


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade"])
async def test_websocket_frames_pass_both_ways(connection: str) -> None:
    async with Place() as place:
        browser = place.browser()
        await browser.sign_in()
        headers = {"Host": HOST, "Origin": PUBLIC, "Cookie": cookie(browser)}
        url = f"http://127.0.0.1:{place.port}/ws"
        async with place.http.ws_connect(url, headers=headers) as socket:
            for size in (0, 1, 125, 126, 70_000, 1_000_000):
                await socket.send_bytes(b"x" * size)
                assert (await socket.receive()).data == b"x" * size
            await socket.close(code=1000)
        assert await place.identity()


async def test_a_websocket_ends_with_the_session() -> None:
    async with Place(session={"lifetime": 1, "idle_timeout": 0}, identity={"ttl": 60}) as place:
        browser = place.browser()
        await browser.sign_in()
        headers = {"Host": HOST, "Origin": PUBLIC, "Cookie": cookie(browser)}
        url = f"http://127.0.0.1:{place.port}/ws"
        async with place.http.ws_connect(url, headers=headers) as socket:
            ended = await asyncio.wait_for(socket.receive(), 4)
            assert (ended.type, ended.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_a_refused_upgrade_is_an_ordinary_answer(place: Place) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await place.http.ws_connect(f"http://127.0.0.1:{place.port}/x", headers={"Host": HOST})
    assert refused.value.status == 200


async def test_other_upgrades_are_never_forwarded(place: Place) -> None:
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAA"}
    answer = await place.browser().get("/x", page=False, headers=headers)
    assert answer.status == 200
    assert place.upstream.header("Upgrade") == []
    assert place.upstream.header("HTTP2-Settings") == []


async def test_connections_are_reused_without_mixing_answers(place: Place) -> None:
    async def ask(number: int) -> None:
        answer = await place.browser().get(f"/n/{number}?body={'y' * (number % 50)}", page=False)
        assert json.loads(answer.body)["target"].startswith(f"/n/{number}?")

    for start in range(0, 200, 25):
        await asyncio.gather(*(ask(start + i) for i in range(25)))
