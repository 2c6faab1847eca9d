"""What cannot be parsed is refused in our words, and nothing of it is repeated."""

from __future__ import annotations

import asyncio
import json
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
        assert int(answer.split()[1]) in (400, 405, 505), answer
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


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        pytest.param(b"GET /%b HTTP/1.1\r\n\r\n" % (b"a" * 9000), 414, "too_large", id="address"),
        pytest.param(
            b"GET / HTTP/1.1\r\nX: %b\r\n\r\n" % (b"a" * 40000), 431, "too_large", id="header"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 120 + b"\r\n", 431, "too_large", id="headers"
        ),
        pytest.param(b"nonsense\r\n\r\n", 400, "bad_target", id="no request line"),
    ],
)
async def test_what_could_not_be_read_is_told_and_counted(
    data: bytes, status: int, reason: str
) -> None:
    async with Place() as place:
        answer = await spoken(place, data)
        assert b" %d " % status in answer.splitlines()[0]
        document = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert document["error"] == reason
        line = json.loads(place.logged().splitlines()[-1])
        assert (line["event"], line["status"], line["reason"]) == ("access", status, reason)
        assert line["request_id"] == document["request_id"]
        metrics = place.app.parts.metrics.render()
        assert b'auth_proxy_refused_total{reason="%b"} 1.0' % reason.encode() in metrics
