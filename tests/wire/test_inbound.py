"""Reading requests: limits, framing, and a memory that never changes what a head means."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.errors import BadRequest
from proxy.wire.inbound import (
    HeadLimits,
    HeadReader,
    Request,
    check_start,
)

LIMITS = HeadLimits(target=100, headers=300, lines=8)


def reader(limits: HeadLimits = LIMITS) -> HeadReader:
    return HeadReader(limits)


def head(line: bytes = b"GET /a HTTP/1.1", *lines: bytes) -> bytes:
    return b"".join(one + b"\r\n" for one in (line, *lines)) + b"\r\n"


HOST = b"Host: app.example"


def test_a_head_is_read_byte_exact() -> None:
    data = head(b"GET /a?b=%20 HTTP/1.1", HOST, b"x-ODD: \t caf\xe9\x85 a \t", b"x-odd: b")
    request = reader().read(data)
    assert (request.method, request.target) == ("GET", "/a?b=%20")
    assert request.headers == [
        (b"Host", b"app.example"),
        (b"x-ODD", b"caf\xe9\x85 a"),
        (b"x-odd", b"b"),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(head(), {}, id="HTTP/1.1"),
        pytest.param(head(b"GET /a HTTP/1.0"), {"http11": False, "keep_alive": False}, id="1.0"),
        pytest.param(
            head(b"GET /a HTTP/1.0", b"Connection: keep-alive"),
            {"http11": False, "keep_alive": True}, id="1.0 keep-alive",
        ),
        pytest.param(head(b"GET /a HTTP/1.1", b"Connection: close"), {"keep_alive": False},
                     id="close"),
        pytest.param(head(b"GET /a HTTP/1.1", b"Connection: x, CLOSE"), {"keep_alive": False},
                     id="close in a list"),
        pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: 5"), {"length": 5}, id="length"),
        pytest.param(head(b"POST /a HTTP/1.1", b"content-length: 005 "), {"length": 5},
                     id="length with zeros and a space"),
        pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: 0"), {"length": 0}, id="length 0"),
        pytest.param(head(b"POST /a HTTP/1.1", b"Transfer-Encoding: chunked"), {"length": None},
                     id="chunks"),
        pytest.param(head(b"POST /a HTTP/1.1", b"transfer-encoding: Chunked "), {"length": None},
                     id="chunks in another case"),
        pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: 1", b"Expect: 100-continue"),
                     {"length": 1, "expects": True}, id="expectation"),
        pytest.param(head(b"GET /a HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"),
                     {"upgrade": True}, id="upgrade"),
        pytest.param(head(b"GET /a HTTP/1.1", b"Upgrade: websocket"), {"upgrade": False},
                     id="upgrade that Connection does not name"),
        pytest.param(head(b"CONNECT a:443 HTTP/1.1"), {"upgrade": True, "method": "CONNECT"},
                     id="CONNECT"),
    ],
)  # fmt: skip
def test_what_a_head_means(data: bytes, expected: dict[str, object]) -> None:
    usual: dict[str, object] = {
        "method": data.split()[0].decode(), "http11": True, "keep_alive": True, "length": 0,
        "upgrade": False, "expects": False,
    }  # fmt: skip
    mine = reader()
    for _ in range(3):
        request = mine.read(data)
        assert {name: getattr(request, name) for name in usual} == {**usual, **expected}


BAD = [
    pytest.param(b"\r\n", 400, id="an empty line"),
    pytest.param(head(b"get /a HTTP/1.1"), 400, id="method in small letters"),
    pytest.param(head(b"FROB /a HTTP/1.1"), 400, id="unknown method"),
    pytest.param(head(b"GET  /a HTTP/1.1"), 400, id="two spaces"),
    pytest.param(head(b"GET /a  HTTP/1.1"), 400, id="two spaces before the version"),
    pytest.param(head(b"GET /a HTTP/1.1 "), 400, id="space at the end"),
    pytest.param(head(b"GET\t/a HTTP/1.1"), 400, id="tab"),
    pytest.param(head(b"GET /a"), 400, id="HTTP/0.9"),
    pytest.param(head(b"GET /\xe9 HTTP/1.1"), 400, id="obs-text in the target"),
    pytest.param(head(b"GET /a HTTP/1.2"), 505, id="HTTP/1.2"),
    pytest.param(head(b"GET /a HTTP/2.0"), 505, id="HTTP/2.0"),
    pytest.param(head(b"PRI * HTTP/2.0"), 505, id="HTTP/2 preface"),
    pytest.param(head(b"PRI /a HTTP/1.1"), 400, id="PRI"),
    pytest.param(head(b"OPTIONS * RTSP/1.0"), 400, id="RTSP"),
    pytest.param(head(b"GET /a HTTP/1.1", b"A b: c"), 400, id="space in a name"),
    pytest.param(head(b"GET /a HTTP/1.1", b"A : c"), 400, id="space before the colon"),
    pytest.param(head(b"GET /a HTTP/1.1", b"A: b", b" c"), 400, id="folding"),
    pytest.param(head(b"GET /a HTTP/1.1", b"A: b\x00"), 400, id="NUL"),
    pytest.param(head(b"GET /a HTTP/1.1", b"A: b\rc"), 400, id="bare CR"),
    pytest.param(head(b"GET /a HTTP/1.1", b"A: b\nB: c"), 400, id="bare LF"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: 1", b"Content-Length: 1"), 400,
                 id="length twice"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: +1"), 400, id="length with a sign"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: 1, 1"), 400, id="list of lengths"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: 0x1"), 400, id="hexadecimal length"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length: " + b"9" * 20), 400,
                 id="length beyond 64 bits"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Content-Length:"), 400, id="empty length"),
    pytest.param(
        head(b"POST /a HTTP/1.1", b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400,
        id="length and chunks",
    ),
    pytest.param(head(b"POST /a HTTP/1.1", b"Transfer-Encoding: gzip, chunked"), 400,
                 id="a list of codings"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Transfer-Encoding: identity"), 400, id="identity"),
    pytest.param(head(b"POST /a HTTP/1.1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"),
                 400, id="two codings"),
    pytest.param(head(b"POST /a HTTP/1.1", *[b"Transfer-Encoding: chunked"] * 2), 400,
                 id="chunked twice"),
    pytest.param(head(b"POST /a HTTP/1.0", b"Transfer-Encoding: chunked"), 400,
                 id="chunks in HTTP/1.0"),
    pytest.param(head(b"GET /" + b"a" * 100 + b" HTTP/1.1"), 414, id="long target"),
    pytest.param(head(b"GET /a HTTP/1.1", b"A: " + b"a" * 296), 431, id="long lines"),
    pytest.param(head(b"GET /a HTTP/1.1", *[b"A: b"] * 9), 431, id="many lines"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "status"), BAD)
def test_what_is_refused(data: bytes, status: int) -> None:
    mine = reader()
    for _ in range(3):
        with pytest.raises(BadRequest) as caught:
            mine.read(data)
        assert caught.value.status == status
        assert mine.read(head()).target == "/a"  # nothing of it is left behind


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head(b"GET /" + b"a" * 99 + b" HTTP/1.1"), id="target"),
        pytest.param(head(b"GET /a HTTP/1.1", b"A: " + b"a" * 295), id="lines' bytes"),
        pytest.param(head(b"GET /a HTTP/1.1", *[b"A: b"] * 8), id="lines"),
    ],
)
def test_a_head_may_be_as_large_as_the_limits_say(data: bytes) -> None:
    mine = reader()
    for _ in range(2):
        mine.read(data)
    for cut in range(1, len(data)):
        mine.check_partial(data[:cut])


# What is remembered


def test_the_same_bytes_give_the_same_value() -> None:
    mine = reader()
    first = mine.read(head(b"GET /a HTTP/1.1", HOST))
    again = mine.read(head(b"GET /a HTTP/1.1", HOST))
    again.memo = "known"
    assert mine.read(head(b"GET /a HTTP/1.1", HOST)) is again
    assert meaning(first) == meaning(again)


def test_another_line_before_a_known_block_is_another_request() -> None:
    mine = reader()
    first = mine.read(head(b"GET /a HTTP/1.1", HOST))
    other = mine.read(head(b"PUT /b?c HTTP/1.1", HOST))
    assert (other.method, other.target, other.memo) == ("PUT", "/b?c", None)
    assert other.headers is not None
    assert other.headers == first.headers
    assert mine.read(head(b"GET /a HTTP/1.1", HOST)).target == "/a"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"GET /a HTTP/1.0", {"http11": False, "keep_alive": False}, id="HTTP/1.0"),
        pytest.param(b"CONNECT a:1 HTTP/1.1", {"upgrade": True}, id="CONNECT"),
        pytest.param(b"POST /a HTTP/1.1", {"length": 3, "expects": True}, id="POST"),
    ],
)
def test_a_known_block_under_a_line_that_changes_its_meaning(
    line: bytes, expected: dict[str, object]
) -> None:
    mine, block = reader(), (HOST, b"Content-Length: 3", b"Expect: x")
    for _ in range(2):
        mine.read(head(b"PUT /a HTTP/1.1", *block))
    for _ in range(3):
        request = mine.read(head(line, *block))
        assert {name: getattr(request, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("line", "status"),
    [
        pytest.param(b"GET /" + b"a" * 100 + b" HTTP/1.1", 414, id="long target"),
        pytest.param(b"GET /a HTTP/3.0", 505, id="another version"),
        pytest.param(b"GET  /a HTTP/1.1", 400, id="two spaces"),
        pytest.param(b"GET /a\tb HTTP/1.1", 400, id="tab in the target"),
        pytest.param(b"GET /a\nX: y HTTP/1.1", 400, id="a line in the line"),
        pytest.param(b"", 400, id="no line"),
        pytest.param(b" HTTP/1.1", 400, id="version only"),
        pytest.param(b"PRI /a HTTP/1.1", 400, id="PRI"),
    ],
)
def test_a_known_block_makes_no_line_good(line: bytes, status: int) -> None:
    mine = reader()
    mine.read(head(b"GET /a HTTP/1.1", HOST))
    for _ in range(2):
        with pytest.raises(BadRequest) as caught:
            mine.read(head(line, HOST))
        assert caught.value.status == status
    assert mine.read(head(b"GET /a HTTP/1.1", HOST)).target == "/a"


def test_the_oldest_heads_are_forgotten() -> None:
    mine = reader(replace(LIMITS, remembered=2))
    blocks = [b"X: %d" % n for n in range(4)]
    for block in blocks:
        mine.read(head(b"GET /a HTTP/1.1", block))
        mine.read(head(b"GET /a HTTP/1.1", block)).memo = block
    memos = [mine.read(head(b"GET /a HTTP/1.1", block)).memo for block in reversed(blocks)]
    assert memos[:2] == [b"X: 3", b"X: 2"]
    assert memos[2:] == [None, None]
    assert len(mine._known) == 2


@pytest.mark.parametrize(
    ("line", "block"),
    [
        pytest.param(b"GET /%d HTTP/1.1", HOST, id="many lines over one block"),
        pytest.param(b"GET /a HTTP/1.1", b"X: %d", id="many blocks"),
        pytest.param(b"GET /%d HTTP/1.1", b"X: " + b"a" * 4000, id="many lines over a large block"),
        pytest.param(b"GET /%d" + b"a" * 8000 + b" HTTP/1.1", HOST, id="long lines"),
        pytest.param(b"GET /a HTTP/1.1", b"X: %d" + b"a" * 9000, id="large blocks"),
    ],
)
def test_what_is_remembered_is_bounded(line: bytes, block: bytes) -> None:
    mine = reader(HeadLimits(target=8192, headers=32768, lines=100, remembered=32))
    for n in range(200):
        both = (one % n if b"%d" in one else one for one in (line, block))
        mine.read(head(*both))
    assert max(len(mine._known), len(mine._requests)) <= 32
    assert max(map(len, [b"", *mine._known, *mine._requests])) <= 4096


NAMES = st.sampled_from(
    [b"Host", b"Cookie", b"X", b"Connection", b"Content-Length", b"Transfer-Encoding", b"Upgrade",
     b"Expect", b"connection", b"CONTENT-LENGTH", b"Bad name", b"Keep-Alive", b"Proxy-Connection"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [b"", b"a", b"close", b"keep-alive", b"Upgrade", b"upgrade, close", b"websocket", b"h2c",
         b"0", b"1", b"5", b"05", b"+1", b"chunked", b"gzip", b"gzip, chunked", b"100-continue",
         b"a\rb", b"a\nb", b"\xe9", b"x" * 290]
    ),
    st.binary(max_size=6),
)  # fmt: skip
METHODS = st.sampled_from(b"GET POST HEAD CONNECT OPTIONS PRI get M-SEARCH".split())
TARGETS = st.sampled_from([*b"/a /a?b * a:1 http://a/".split(), b"", b"/" + b"a" * 101, b"/a b"])
VERSIONS = st.sampled_from([*b"HTTP/1.1 HTTP/1.0 HTTP/1.2 HTTP/2.0 RTSP/1.0".split(), b"HTTP/1.1 "])
LINES = st.one_of(st.tuples(METHODS, TARGETS, VERSIONS).map(b" ".join), st.binary(max_size=12))
BLOCKS = st.lists(st.tuples(NAMES, VALUES).map(b": ".join), max_size=4)
ENDS = re.compile(rb"\r\n\r\n")


def meaning(request: Request) -> dict[str, object]:
    """Everything that is read of a head, but what others keep beside it."""
    names = (field.name for field in fields(request))
    return {name: getattr(request, name) for name in names if name not in ("memo", "block")}


def outcome(mine: HeadReader, data: bytes) -> object:
    try:
        return meaning(mine.read(data))
    except BadRequest as error:
        return (error.reason, error.status)


@settings(max_examples=300)
@given(st.lists(LINES, min_size=1, max_size=5), st.lists(BLOCKS, min_size=1, max_size=3))
@example([b"GET /a HTTP/1.1", b"CONNECT a:1 HTTP/1.1"], [[b"Content-Length: 0"]])
@example([b"GET /a HTTP/1.1"], [[b"Connection: upgrade", b"Upgrade: a", b"Content-Length: 5"]])
def test_a_memory_changes_no_meaning(lines: list[bytes], blocks: list[list[bytes]]) -> None:
    """Whatever was read before, a head means what it means to a reader that is new."""
    warm = reader(replace(LIMITS, remembered=4))
    for _ in range(2):
        for block in blocks:
            for line in lines:
                data = head(line, *block)
                if ENDS.search(data) and data.find(b"\r\n\r\n") == len(data) - 4:
                    assert outcome(warm, data) == outcome(reader(), data), data


@settings(max_examples=300)
@given(LINES, BLOCKS)
def test_no_beginning_of_a_good_head_is_refused(line: bytes, block: list[bytes]) -> None:
    data, mine = head(line, *block), reader()
    if data.find(b"\r\n\r\n") != len(data) - 4 or not isinstance(outcome(mine, data), dict):
        return
    for cut in range(1, len(data)):
        mine.check_partial(data[:cut])


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"get", 400, id="small letters"),
        pytest.param(b"\x16\x03\x01", 400, id="TLS"),
        pytest.param(b"\x00", 400, id="NUL"),
        pytest.param(b"GET / HTTP/2.0\r\n", 505, id="HTTP/2"),
        pytest.param(b"GET /\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b\nC", 400, id="a line without CR"),
        pytest.param(b"GET / HTTP/1.1\nA: b", 400, id="a request line without CR"),
        pytest.param(b"GET /" + b"a" * 165, 414, id="target without end"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * 303, 431, id="lines without end"),
    ],
)
def test_a_beginning_that_cannot_become_good(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        reader().check_partial(data)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        pytest.param(b"GET / HTTP/1.1", 0, id="good"),
        pytest.param(b"M-SEARCH * HTTP/1.0", 0, id="hyphen"),
        pytest.param(b"GET / HTTP/1.9", 505, id="HTTP/1.9"),
        pytest.param(b"PRI * HTTP/2.0", 505, id="preface"),
        pytest.param(b"GET / HTTP/3", 505, id="HTTP/3"),
        pytest.param(b"GET / http/1.1", 400, id="http"),
        pytest.param(b"GET /a b HTTP/1.1", 400, id="three words too many"),
        pytest.param(b"", 400, id="empty"),
    ],
)
def test_request_lines(line: bytes, status: int) -> None:
    if not status:
        check_start(line)
        return
    with pytest.raises(BadRequest) as caught:
        check_start(line)
    assert caught.value.status == status
