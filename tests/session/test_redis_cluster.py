"""The map of a Cluster. What it is for is tested against real nodes: test_redis, and its faults."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from proxy.session.redis_address import Address
from proxy.session.redis_client import Broken, Refused, Reply
from proxy.session.redis_cluster import SLOTS, _read_map, slot_of

ASKED = Address("asked", 1)


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        pytest.param(b"123456789", 12739, id="of the specification"),
        pytest.param(b"", 0, id="empty"),
        pytest.param(b"foo{bar}", 5061, id="tag"),
        pytest.param(b"bar", 5061, id="the tag itself"),
    ],
)
def test_known_slots(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


@pytest.mark.parametrize("key", [b"a", b"a{}b", b"{a", b"a}b{c}", b"{{a}}", b"{a}{b}", b"{}{a}"])
def test_slots_are_those_of_redis_py(key: bytes) -> None:
    assert slot_of(key) == key_slot(key)


def test_a_map_with_and_without_names() -> None:
    slots, masters = _read_map(
        [
            [0, 99, [b"10.0.0.1", 1, b"id", []], [b"10.0.0.9", 9, b"id"]],
            [100, 200, [b"", 2, b"id"]],
            [201, SLOTS - 1, [None, 3, b"id"]],
        ],
        ASKED,
    )
    assert masters == [Address("10.0.0.1", 1), Address("asked", 2), Address("asked", 3)]
    assert [slots[number] for number in (0, 99, 100, 200, 201, SLOTS - 1)] == [
        masters[0], masters[0], masters[1], masters[1], masters[2], masters[2]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param([], id="empty"),
        pytest.param(None, id="nothing"),
        pytest.param(b"OK", id="another answer"),
        pytest.param([[0, 100, [b"h", 1]]], id="a hole"),
        pytest.param([[0, SLOTS - 1, [b"h", b"1"]]], id="no port"),
        pytest.param([[0, SLOTS - 1]], id="no node"),
        pytest.param(Refused("ERR"), id="no Cluster"),
    ],
)
def test_no_map(reply: Reply) -> None:
    with pytest.raises(Broken, match="asked:1 does not know who has which keys"):
        _read_map(reply, ASKED)
