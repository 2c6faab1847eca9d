"""Lines of JSON over a socket that never blocks."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from proxy.process.channel import Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = Channel.pair()
    yield one, other
    one.close()
    other.close()


def test_messages_arrive_in_order(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    assert other.receive() == []
    for number in range(3):
        one.send({"number": number, "text": "line\nbreak"})
    assert [message["number"] for message in other.receive()] == [0, 1, 2]
    other.send({"back": True})
    assert one.receive() == [{"back": True}]


def test_half_a_message_is_waited_for() -> None:
    raw, end = socket.socketpair()
    with raw:
        channel = Channel(end)
        raw.sendall(b'{"a": 1}\n{"b"')
        assert channel.receive() == [{"a": 1}]
        raw.sendall(b": 2}\n")
        assert channel.receive() == [{"b": 2}]
        channel.close()


def test_what_is_not_taken_waits(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    for number in range(2000):
        one.send({"number": number, "text": "x" * 1000})
    assert one.waiting > 0
    found: list[object] = []
    while len(found) < 2000:
        found += [message["number"] for message in other.receive()]
        one.flush()
    assert found == list(range(2000))
    assert one.waiting == 0


def test_the_other_end_has_gone(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    one.send({"last": "word"})
    one.close()
    assert other.receive() == [{"last": "word"}]
    other.send({"lost": True})
    assert other.waiting == 0
    with pytest.raises(EOFError):
        other.receive()
