"""What cannot be parsed is refused in our words, and nothing of it is repeated."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from tests.web.place import HOST, Place


async def spoken(place: Place, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"nonsense\r\n\r\n", id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", id="space in a name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", id="NUL in a value"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", id="folded line"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n",
            id="two framings",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            id="two lengths",
        ),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
    ],
)
async def test_what_is_not_http_gets_400_and_the_connection_ends(data: bytes) -> None:
    async with Place(routes=[{"path": "/*", "access": "public"}]) as place:
        answer = await spoken(place, data)
        assert b" 400 " in answer.splitlines()[0] or b" 405 " in answer.splitlines()[0], answer
        assert b"aiohttp" not in answer
        assert b"Python" not in answer
        assert place.upstream.seen == []


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with Place(routes=[{"path": "/*", "access": "public"}]) as place:
        ask = b"GET /%d HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n%b\r\n"
        data = b"".join(ask % (n, b"" if n < 19 else b"Connection: close\r\n") for n in range(20))
        answer = await spoken(place, data)
        assert [seen["target"] for seen in place.upstream.seen] == [f"/{n}" for n in range(20)]
        assert answer.count(b"HTTP/1.1 200 ") == 20


def test_the_lenient_parser_is_refused() -> None:
    """Run apart: aiohttp chooses its parser when it is imported."""
    code = "from proxy.web.server import check_parser; check_parser()"
    environment = {**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "C extensions" in done.stderr
