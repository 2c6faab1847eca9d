"""Following a chunked body to its end, beside whoever reads it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import BadRequest, Reason
from proxy.wire.inbound import OVERHEAD_LIMIT, ChunkScanner


def scanned(scanner: ChunkScanner, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        scanner.feed(data[start : start + size])


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([b"", b";a=b", b";x"]))),
    st.lists(
        st.sampled_from([b"T: a", b"Host: b", b"Upgrade: x", b"Connection: close"]), max_size=2
    ),
    st.integers(1, 60),
    st.booleans(),
)
def test_the_end_of_chunks_is_found_wherever_they_are_cut(
    chunks: list[tuple[bytes, bytes]], trailers: list[bytes], size: int, excess: bool
) -> None:
    data = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extra, part) for part, extra in chunks)
    data += b"0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"
    scanner = ChunkScanner()
    scanned(scanner, data[:-1], size)
    assert not scanner.complete
    scanner.feed(data[-1:])
    assert scanner.complete
    assert not scanner.excess
    if excess:
        scanner.feed(b"GET / HTTP/1.1\r\n")
        assert scanner.complete
        assert scanner.excess


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="a request"),
        pytest.param(b"G", id="its first byte"),
        pytest.param(b"\x00nonsense", id="nonsense"),
    ],
)
def test_bytes_after_the_end_are_excess(rest: bytes) -> None:
    scanner = ChunkScanner()
    scanner.feed(b"1\r\na\r\n0\r\n\r\n" + rest)
    assert (scanner.complete, scanner.excess) == (True, True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"x\r\n", id="no size"),
        pytest.param(b"-1\r\n", id="a sign"),
        pytest.param(b"0x1\r\n", id="a prefix"),
        pytest.param(b"1 \r\na", id="a space"),
        pytest.param(b"1\na\n", id="bare LF"),
        pytest.param(b"1\r\nab\r\n", id="longer than its size"),
        pytest.param(b"1;a\rb\r\na\r\n", id="CR in an extension"),
        pytest.param(b"1;a\nb\r\na\r\n", id="LF in an extension"),
        pytest.param(b"f" * 17 + b"\r\n", id="a size beyond 64 bits"),
        pytest.param(b"0\r\n\n", id="half an end"),
        pytest.param(b"0\r\nContent-Length: 3\r\n\r\n", id="a length among the trailers"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_are_no_chunks(data: bytes, size: int) -> None:
    scanner = ChunkScanner()
    with pytest.raises(BadRequest) as caught:
        scanned(scanner, data, size)
    assert caught.value.reason is Reason.BAD_BODY
    assert not scanner.complete


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param((b"1;" + b"a" * 1000, b"\r\na\r\n"), id="extensions"),
        pytest.param((b"1;" + b"a" * 10, b"a" * 1000), id="one extension without end"),
        pytest.param((b"0\r\n", b"T: " + b"a" * 1000 + b"\r\n"), id="trailers"),
    ],
)
def test_frills_without_end_are_refused(piece: tuple[bytes, bytes]) -> None:
    scanner = ChunkScanner()
    first, more = piece
    scanner.feed(first)
    again = more + first if more.startswith(b"\r\n") else more
    with pytest.raises(BadRequest) as caught:
        scanned(scanner, again * (2 * OVERHEAD_LIMIT // 1000), len(again))
    assert caught.value.reason is Reason.BAD_BODY


def test_tiny_chunks_are_no_frills() -> None:
    scanner = ChunkScanner()
    for _ in range(200):
        scanner.feed(b"1;a=b\r\nx\r\n" * 100)
    scanner.feed(b"0\r\n\r\n")
    assert scanner.complete


def test_one_read_of_much_body_is_no_frill() -> None:
    scanner = ChunkScanner()
    scanner.feed(b"40000\r\n" + b"a" * 0x40000 + b"\r\n0\r\n\r\n")
    assert scanner.complete
