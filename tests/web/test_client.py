"""The client's side of an exchange: bytes out untouched, broken answers never look whole."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.fakes.scripted import Step, close, endless, request, setting, upstream
from tests.web.place import HOST, Place

OK = b"HTTP/1.1 200 OK\r\n"


async def spoken(place: Place, data: bytes) -> bytes:
    """What the client gets for ``data``, until its connection ends or breaks."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(data)
    answer = bytearray()
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            while chunk := await reader.read(65536):
                answer += chunk
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()
    return bytes(answer)


def ask(version: str = "1.1") -> bytes:
    head = f"GET / HTTP/{version}\r\nHost: {HOST}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        pytest.param(OK + b"Content-Length: 10\r\n\r\nshort", b"short", id="short of its length"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
            b"first\r\n",
            id="without its last chunk",
        ),
    ],
)
async def test_a_broken_answer_never_looks_whole(said: bytes, ending: bytes) -> None:
    async with upstream([request, said, close]) as scripted:
        route = {"path": "/*", "access": "public", "upstream": scripted.url}
        async with Place(routes=[route]) as place:
            answer = await spoken(place, ask())
            assert not answer or answer.endswith(ending)
            assert b"0\r\n\r\n" not in answer
            assert "response cut" in place.logged()
            assert '"status": 499' in place.logged()


async def test_header_bytes_come_back_untouched() -> None:
    said = OK + b"X-Odd: caf\xe9 \x85\r\nContent-Length: 2\r\n\r\nok"
    async with upstream([request, said, close]) as scripted:
        route = {"path": "/*", "access": "public", "upstream": scripted.url}
        async with Place(routes=[route]) as place:
            answer = await spoken(place, ask())
            assert b"\r\nX-Odd: caf\xe9 \x85\r\n" in answer
            assert answer.endswith(b"\r\n\r\nok")


async def test_an_http_1_0_client_gets_no_chunks() -> None:
    said = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
    async with upstream([request, said, close]) as scripted:
        route = {"path": "/*", "access": "public", "upstream": scripted.url}
        async with Place(routes=[route]) as place:
            answer = await spoken(place, ask("1.0"))
            assert answer.endswith(b"\r\n\r\nfirstsecond")
            assert b"chunked" not in answer.lower()


async def test_a_broken_request_body_reaches_no_clean_end() -> None:
    async with Place(routes=[{"path": "/*", "access": "public"}]) as place:
        data = (
            f"POST /x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
            "4\r\nbody\r\nnonsense\r\n\r\n"
        )
        answer = await spoken(place, data.encode())
        assert not answer or b" 400 " in answer.splitlines()[0]
        assert place.upstream.seen == []


async def test_an_unknown_expectation_is_417() -> None:
    async with Place(routes=[{"path": "/*", "access": "public"}]) as place:
        answer = await place.browser().post("/x", page=False, data=b"x", headers={"Expect": "tea"})
        assert answer.status == 417


async def test_a_client_that_stops_sending_gives_its_upstream_connection_back() -> None:
    forwarding = {"max_connections": 1, "idle_timeout": 0.3, "queue_timeout": 5}
    async with Place(routes=[{"path": "/*", "access": "public"}], forwarding=forwarding) as place:
        head = f"POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100\r\n\r\nx"
        stuck = asyncio.create_task(spoken(place, head.encode()))
        assert (await place.browser().get("/y", page=False)).status == 200
        assert b" 408 " in (await stuck).splitlines()[0]


async def test_a_client_that_stops_reading_gives_its_upstream_connection_back() -> None:
    said = OK + b"Content-Length: 50000000\r\n\r\n"
    small = OK + b"Content-Length: 2\r\n\r\nok"
    asked = asyncio.Event()
    script: list[Step] = [request, setting(asked), said, endless(b"x" * 65536)]
    async with upstream(script, [request, small]) as scripted:
        route = {"path": "/*", "access": "public", "upstream": scripted.url}
        forwarding = {"max_connections": 1, "idle_timeout": 0.3, "queue_timeout": 10}
        async with Place(routes=[route], forwarding=forwarding) as place:
            _, writer = await asyncio.open_connection("127.0.0.1", place.port, limit=1024)
            writer.write(ask())
            async with asyncio.timeout(10):
                await asked.wait()
                assert (await place.browser().get("/y", page=False)).status == 200
            writer.transport.abort()
