from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Reason, UpstreamError
from proxy.wire.reader import HEAD_LIMIT, ResponseReader

START = b"HTTP/1.1 200 OK\r\n"
RESPONSES = [
    pytest.param(START + b"Content-Length: 5\r\nA:  b \r\n\r\nhello", b"hello", id="length"),
    pytest.param(
        START + b"Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: u\r\n\r\n",
        b"hello",
        id="chunks",
    ),
    pytest.param(
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + START + b"Content-Length: 0\r\n\r\n",
        b"",
        id="interim",
    ),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="204"),
]


@pytest.mark.parametrize(("response", "content"), RESPONSES)
def test_how_bytes_are_cut_makes_no_difference(response: bytes, content: bytes) -> None:
    whole = ResponseReader()
    whole.feed(response)
    for size in range(1, len(response)):
        reader = ResponseReader()
        for start in range(0, len(response), size):
            reader.feed(response[start : start + size])
        assert reader.head == whole.head
        assert (reader.length, reader.chunked) == (whole.length, whole.chunked)
        assert reader.complete
        assert reader.keep_alive
        assert not reader.excess
        assert reader.take() == content


def test_names_and_values_are_byte_exact_and_in_order() -> None:
    reader = ResponseReader()
    reader.feed(
        START + b"set-cookie: a=\xe9\r\nSET-Cookie: b\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"
    )
    assert reader.head is not None
    assert reader.head.headers == [
        (b"set-cookie", b"a=\xe9"),
        (b"SET-Cookie", b"b"),
        (b"Empty", b""),
        (b"Content-Length", b"0"),
    ]


def test_one_reader_reads_one_response_after_another() -> None:
    reader = ResponseReader()
    for no_body in (False, True, True, False):
        reader.begin(no_body=no_body)
        reader.feed(START + b"Content-Length: 2\r\n\r\n" + (b"" if no_body else b"ok"))
        assert reader.complete
        assert not reader.excess
        assert reader.take() == (b"" if no_body else b"ok")


@pytest.mark.parametrize(
    ("response", "keep_alive"),
    [
        pytest.param(START + b"Content-Length: 0\r\n\r\n", True, id="HTTP/1.1"),
        pytest.param(START + b"Connection: close\r\nContent-Length: 0\r\n\r\n", False, id="close"),
        pytest.param(
            START + b"Connection: x, Close\r\nContent-Length: 0\r\n\r\n",
            False,
            id="in a list",
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False, id="HTTP/1.0"),
    ],
)
def test_keep_alive_follows_version_and_connection(response: bytes, keep_alive: bool) -> None:
    reader = ResponseReader()
    reader.feed(response)
    assert reader.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("response", "clean"),
    [
        pytest.param(START + b"\r\nhello", True, id="neither length nor chunks"),
        pytest.param(START + b"Content-Length: 9\r\n\r\nhello", False, id="short of its length"),
        pytest.param(START + b"Transfer-Encoding: chunked\r\n\r\n", False, id="no last chunk"),
        pytest.param(START + b"A: b\r\n", False, id="inside the head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", False, id="after an interim response"),
    ],
)
def test_only_a_body_without_framing_may_end_with_the_stream(response: bytes, clean: bool) -> None:
    reader = ResponseReader()
    reader.feed(response)
    assert not reader.complete
    assert reader.end() is clean
    assert not (reader.complete and reader.keep_alive)


def test_after_a_101_all_bytes_are_raw() -> None:
    reader = ResponseReader()
    reader.begin(upgrade=True)
    reader.feed(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\0")
    reader.feed(b"HTTP/1.1 nonsense")
    assert reader.upgraded
    assert not reader.complete
    assert reader.take() == b"\x81\0HTTP/1.1 nonsense"


@given(st.lists(st.binary(min_size=1), min_size=1))
def test_any_bytes_are_a_response_or_refused_by_name(parts: list[bytes]) -> None:
    reader = ResponseReader()
    reason = None
    try:
        for part in (START, *parts):
            reader.feed(part)
    except UpstreamError as error:
        reason = error.reason
    assert reason in (None, Reason.UPSTREAM_INVALID)
    assert len(reader.take()) <= sum(map(len, parts))


@given(st.binary(max_size=20), st.integers(min_value=0, max_value=30))
def test_content_never_spills_over_its_length(content: bytes, length: int) -> None:
    reader = ResponseReader()
    reader.feed(START + b"Content-Length: %d\r\n\r\n" % length)
    if content:
        reader.feed(content)
    assert reader.take() == content[:length]
    assert reader.complete is (len(content) >= length)


def test_a_head_is_given_up_when_it_passes_the_limit() -> None:
    reader = ResponseReader()
    reader.feed(START + b"A: ")
    for _ in range(HEAD_LIMIT // 1000):
        reader.feed(b"a" * 1000)
    with pytest.raises(UpstreamError):
        reader.feed(b"a" * 1000)
