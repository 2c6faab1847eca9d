from __future__ import annotations

import pytest

from proxy.errors import ProxyError, Reason
from proxy.wire.http1 import chunk, request_bytes, response_bytes
from proxy.wire.message import Body, RequestHead, ResponseHead
from tests.wire.stage import GET, chunks


def test_a_request_is_written_byte_exact() -> None:
    head = RequestHead(b"GET", b"/a%20b?c=d", ((b"host", b"x"), (b"X-Name", b"caf\xe9\xff")))
    assert request_bytes(head, None) == (
        b"GET /a%20b?c=d HTTP/1.1\r\nhost: x\r\nX-Name: caf\xe9\xff\r\n\r\n"
    )


async def test_a_body_adds_its_framing_and_what_is_ready() -> None:
    known = request_bytes(GET, Body(5, chunks(), b"hel"))
    assert known.endswith(b"\r\nContent-Length: 5\r\n\r\nhel")
    unknown = request_bytes(GET, Body(None, chunks(), b"hel"))
    assert unknown.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n")
    empty = request_bytes(GET, Body(0, chunks()))
    assert empty.endswith(b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "name",
    [
        b"Connection", b"connection", b"Transfer-Encoding", b"CONTENT-LENGTH", b"Expect", b"TE",
        b"Trailer", b"Upgrade", b"Keep-Alive", b"Proxy-Connection",
    ],
)  # fmt: skip
def test_framing_is_ours_whatever_the_caller_says(name: bytes) -> None:
    head = RequestHead(b"GET", b"/", ((name, b"close"), (b"A", b"b")))
    assert request_bytes(head, None) == b"GET / HTTP/1.1\r\nA: b\r\n\r\n"
    response = response_bytes(ResponseHead(200, b"OK", ()), head.headers, [(b"A", b"c")])
    assert response == b"HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(RequestHead(b"GET", b"/", ((b"A", b"b\r\nC: d"),)), id="CR LF in a value"),
        pytest.param(RequestHead(b"GET", b"/", ((b"A", b"b\n"),)), id="LF in a value"),
        pytest.param(RequestHead(b"GET", b"/", ((b"A", b"b\rc"),)), id="CR in a value"),
        pytest.param(RequestHead(b"GET", b"/", ((b"A", b"b\0c"),)), id="NUL in a value"),
        pytest.param(RequestHead(b"GET", b"/", ((b"A\r\nB", b"c"),)), id="CR LF in a name"),
        pytest.param(RequestHead(b"GET", b"/\r\nA:b", ()), id="CR LF in the target"),
        pytest.param(RequestHead(b"GET", b"/ HTTP/1.1", ()), id="space in the target"),
        pytest.param(RequestHead(b"GET /", b"/", ()), id="space in the method"),
    ],
)
def test_a_head_that_would_split_is_never_written(head: RequestHead) -> None:
    with pytest.raises(ProxyError) as caught:
        request_bytes(head, None)
    assert caught.value.reason is Reason.INTERNAL


def test_a_chunk_has_its_size_in_hexadecimal() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
