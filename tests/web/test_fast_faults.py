"""The fast lane when something fails: stale connections, bad answers, clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from proxy.rules.routes import Route
from proxy.web.connection import ClientConnection
from proxy.web.upstream import Returned
from proxy.web.visit import Visit
from proxy.wire.message import ResponseHead
from tests.fakes.scripted import (
    Script,
    Step,
    close,
    endless,
    finish,
    request,
    reset,
    setting,
    until,
    upstream,
)
from tests.web.lanes import Lanes, acting, spoken
from tests.web.place import HOST, Place
from tests.wire.stage import OK, eventually


def ask(method: str = "GET", accept: str = "*/*", body: bytes = b"") -> bytes:
    lines = f"Host: {HOST}\r\nAccept: {accept}\r\nConnection: close\r\n"
    if body:
        lines += f"Content-Length: {len(body)}\r\n"
    return f"{method} /open/b HTTP/1.1\r\n{lines}\r\n".encode() + body


@dataclass(slots=True)
class Handed:
    """What came of a request on an idle connection that plays a script."""

    answer: bytes
    asked: list[bytes]
    logged: list[dict[str, Any]]

    @property
    def status(self) -> int:
        return int(self.answer.split()[1])


async def handed(
    *scripts: Script, data: bytes = b"", errors: str = "auto", **settings: Any
) -> Handed:
    """The fast lane is given ``data`` on the first script's connection, after one good answer."""
    warm: list[Step] = [request, OK]
    async with upstream([*warm, *scripts[0]], *scripts[1:]) as scripted:
        route = {"path": "/open/*", "access": "public", "upstream": scripted.url}
        async with Place(routes=[route | {"errors": errors}], **settings) as place:
            assert (await place.browser().get("/open/a", page=False)).status == 200
            lanes = Lanes(place)
            answer = await spoken(place, data or ask())
            assert lanes.taken == [True]
            async with asyncio.timeout(5):
                await eventually(lambda: not place.app.parts.ledger.running)
            lines = place.audited("access")[1:]
            asked = b"".join(bytes(peer.received) for peer in scripted.peers)
            assert "Pool" not in place.logged()
            return Handed(answer, asked.split(b"/open/b")[1:], lines)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("ending", [finish, close, reset])
async def test_a_connection_that_had_gone_stale_is_replaced(method: str, ending: Step) -> None:
    found = await handed([request, ending], [request, OK], data=ask(method))
    assert found.status == 200
    assert len(found.asked) == 2
    (line,) = found.logged
    assert (line["status"], line["path"]) == (200, "/open/b")
    first, second = (one.partition(b"X-Request-Id: ")[2][:16] for one in found.asked)
    assert first == second == line["request_id"].encode()


async def test_a_second_stale_connection_is_the_end() -> None:
    found = await handed([request, close], [request, close])
    assert found.status == 502
    assert len(found.asked) == 2


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_what_is_not_safe_to_repeat_is_not(method: str) -> None:
    found = await handed([request, close], [request, OK], data=ask(method))
    assert found.status == 502
    assert len(found.asked) == 1


async def test_a_safe_method_with_a_body_is_not_repeated() -> None:
    found = await handed([request, close], [request, OK], data=ask(body=b"body"))
    assert (found.status, len(found.asked)) == (502, 1)


@pytest.mark.parametrize(
    ("steps", "status", "reason"),
    [
        pytest.param([b"SSH-2.0\r\n"], 502, "upstream_invalid", id="no HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\nCont", close], 502, "upstream_unreachable",
                     id="half a head"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"], 502,
                     "upstream_invalid", id="two lengths"),
        pytest.param([b"HTTP/1.1 101 Switching\r\n\r\n"], 502, "upstream_invalid", id="101"),
        pytest.param([], 504, "upstream_timeout", id="silence"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_a_fault_of_the_upstream_is_answered_by_the_slow_lane(
    steps: list[Step], status: int, reason: str, accept: str
) -> None:
    found = await handed(
        [request, *steps], data=ask(accept=accept), forwarding={"response_timeout": 0.2}
    )
    head, _, body = found.answer.partition(b"\r\n\r\n")
    assert found.status == status
    (line,) = found.logged
    assert (line["status"], line["reason"]) == (status, reason)
    assert f"X-Request-Id: {line['request_id']}".encode() in head
    if accept == "text/html":
        assert b"Content-Type: text/html" in head
        assert b"<html" in body
    else:
        assert json.loads(body)["error"] == reason
    assert len(found.asked) == 1


async def test_a_fault_of_the_upstream_is_told_as_the_route_says() -> None:
    found = await handed([request, close], data=ask("POST"), errors="openai")
    error = json.loads(found.answer.partition(b"\r\n\r\n")[2])["error"]
    assert (found.status, error["code"]) == (502, "upstream_unreachable")


async def test_a_fault_of_ours_is_a_500_with_an_id() -> None:
    async with acting() as scene:
        lane = scene.place.app.parts.fast

        def broken(head: ResponseHead, route: Route | None) -> Returned:
            raise RuntimeError("secret detail")

        lane.upstreams.returned = broken  # type: ignore[method-assign]
        assert await scene.ask("/open/a") == (True, 500)
        assert "secret detail" in scene.place.logged()
        assert not scene.place.app.parts.ledger.running


async def test_a_fault_after_the_answer_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with acting() as scene:
        ledger = scene.place.app.parts.ledger
        end = ledger.end

        def broken(connection: ClientConnection, visit: Visit, status: int) -> None:
            end(connection, visit, status)
            raise RuntimeError("a fault while telling")

        ledger.end = broken  # type: ignore[method-assign]
        assert await scene.ask("/open/a") == (True, 200)
        ledger.end = end  # type: ignore[method-assign]
        assert "a fault while telling" in caplog.text


# Ends in the middle


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"Content-Length: 10\r\n\r\nshort", id="length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", id="chunks"),
    ],
)
async def test_half_an_answer_never_looks_whole(said: bytes) -> None:
    seen = asyncio.Event()
    steps: list[Step] = [request, b"HTTP/1.1 200 OK\r\n" + said, until(seen), close]
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, seen.set)
    found = await handed(steps)
    assert found.answer.endswith(said.partition(b"\r\n\r\n")[2])
    (line,) = found.logged
    assert (line["status"], line["reason"]) == (499, "upstream_unreachable")


async def _leaving(steps: list[Step], ready: Callable[[bytes], bool]) -> list[dict[str, Any]]:
    """A client that goes when ``ready`` says so of what it got; what was logged of it."""
    warm: list[Step] = [request, OK]
    async with upstream([*warm, *steps]) as scripted:
        route = {"path": "/open/*", "access": "public", "upstream": scripted.url}
        async with Place(routes=[route]) as place:
            assert (await place.browser().get("/open/a", page=False)).status == 200
            lanes = Lanes(place)
            reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            writer.write(ask())
            got = b""
            async with asyncio.timeout(5):
                while not ready(got):
                    got += await reader.read(1)
                await eventually(lambda: not len(scripted.peers[0].received) < 100)
                writer.transport.abort()
                await scripted.peers[0].gone.wait()
                await eventually(lambda: not place.app.parts.ledger.running)
            assert lanes.taken == [True]
            return place.audited("access")[1:]


@pytest.mark.parametrize(
    ("steps", "ready"),
    [
        pytest.param([request], lambda got: True, id="waiting"),
        pytest.param([request, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"],
                     lambda got: got.endswith(b"ab"), id="in a body"),
        pytest.param([request, b"HTTP/1.1 200 OK\r\n\r\n", endless(b"x" * 65536)],
                     lambda got: b"x" in got, id="in an endless body"),
    ],
)  # fmt: skip
async def test_a_client_that_leaves_ends_its_request(
    steps: list[Step], ready: Callable[[bytes], bool]
) -> None:
    (line,) = await _leaving(steps, ready)
    assert line["status"] == 499


async def test_a_client_that_leaves_while_the_slow_lane_takes_over() -> None:
    """Handed on, then lost: told once, and nothing is left running."""
    begun = asyncio.Event()
    async with upstream([request, OK, request, close], [request, setting(begun)]) as scripted:
        route = {"path": "/open/*", "access": "public", "upstream": scripted.url}
        async with Place(routes=[route]) as place:
            assert (await place.browser().get("/open/a", page=False)).status == 200
            _, writer = await asyncio.open_connection("127.0.0.1", place.port)
            writer.write(ask())
            async with asyncio.timeout(5):
                await begun.wait()
                writer.transport.abort()
                await scripted.peers[1].gone.wait()
                await eventually(lambda: not place.app.parts.ledger.running)
            (line,) = place.audited("access")[1:]
            assert line["status"] == 499
