"""Response heads that are known again by their bytes."""

from __future__ import annotations

import pytest

from proxy.wire.message import ResponseHead
from proxy.wire.reader import RECALLED_SIZE, ResponseReader
from proxy.wire.recall import Known, Recall

OK = b"HTTP/1.1 200 OK\r\n"
HEAD = OK + b"Content-Length: 2\r\nX-A: b\r\n\r\n"


def read(reader: ResponseReader, *pieces: bytes, no_body: bool = False) -> ResponseReader:
    reader.begin(no_body)
    for piece in pieces:
        reader.feed(piece)
    return reader


def test_the_same_bytes_are_the_same_head() -> None:
    recall = Recall()
    first = read(ResponseReader(recall), HEAD + b"ok")
    again = read(ResponseReader(recall), HEAD + b"no")
    assert again.head is first.head
    assert (again.take(), again.complete, again.keep_alive, again.length) == (b"no", True, True, 2)
    assert not again.excess


@pytest.mark.parametrize(
    ("pieces", "complete", "excess", "body"),
    [
        pytest.param((HEAD + b"o", b"k"), True, False, b"ok", id="body in two parts"),
        pytest.param((HEAD, b"ok"), True, False, b"ok", id="head alone"),
        pytest.param((HEAD[:20], HEAD[20:] + b"ok"), True, False, b"ok", id="head in two parts"),
        pytest.param((HEAD + b"okEXTRA",), True, True, b"ok", id="bytes behind it"),
        pytest.param((HEAD + b"o",), False, False, b"o", id="less than announced"),
    ],
)
def test_what_is_not_whole_is_parsed_as_ever(
    pieces: tuple[bytes, ...], complete: bool, excess: bool, body: bytes
) -> None:
    recall = Recall()
    read(ResponseReader(recall), HEAD + b"ok")
    for reader in (read(ResponseReader(recall), *pieces), read(ResponseReader(), *pieces)):
        assert (reader.complete, reader.excess, reader.take()) == (complete, excess, body)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunks"),
        pytest.param(OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", id="close"),
        pytest.param(b"HTTP/1.1 204 No\r\n\r\n", id="no content"),
        pytest.param(b"HTTP/1.1 304 Same\r\nContent-Length: 0\r\n\r\n", id="not modified"),
        pytest.param(b"HTTP/1.1 100 Go\r\n\r\n" + HEAD + b"ok", id="after an interim one"),
        pytest.param(HEAD + b"okHTTP/1.1 200 OK\r\n\r\n", id="with another behind it"),
    ],
)  # fmt: skip
def test_only_a_head_that_leaves_no_question_is_remembered(said: bytes) -> None:
    recall = Recall()
    read(ResponseReader(recall), said)
    assert recall.heads.get(said[: said.find(b"\r\n\r\n") + 4]) is None


def test_nothing_is_taken_from_memory_for_an_answer_to_head() -> None:
    recall = Recall()
    read(ResponseReader(recall), HEAD + b"ok")
    reader = read(ResponseReader(recall), HEAD, no_body=True)
    assert (reader.complete, reader.take()) == (True, b"")
    assert read(ResponseReader(recall), HEAD + b"ok", no_body=True).excess


def test_large_reads_are_not_copied_to_be_looked_up() -> None:
    recall = Recall()
    size = RECALLED_SIZE
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    assert read(ResponseReader(recall), head + b"x" * size).complete
    assert recall.heads.get(head) is None


def test_the_oldest_is_forgotten() -> None:
    recall = Recall()
    for number in range(300):
        recall.put(b"%d" % number, Known(ResponseHead(200, b"OK", ()), number))
    assert recall.heads.get(b"0") is None
    assert recall.heads.get(b"299") == Known(ResponseHead(200, b"OK", ()), 299)
