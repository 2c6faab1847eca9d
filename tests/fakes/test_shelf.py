"""The fake shelf keeps the promise of every shelf, and can be switched off."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import Reason, StoreError
from proxy.session.shelf import Share
from tests.fakes.shelf import MemoryShelf
from tests.session.shelf_contract import FakeTime, ShelfContract, every, listening


class TestMemoryShelf(ShelfContract):
    @pytest.fixture
    def time(self) -> FakeTime:
        return FakeTime()

    @pytest.fixture
    def shelf(self, time: FakeTime) -> MemoryShelf:
        return MemoryShelf(time)

    @pytest.fixture
    def other(self, shelf: MemoryShelf) -> MemoryShelf:
        return shelf


async def test_a_shelf_that_is_down_says_so_every_time() -> None:
    time = FakeTime()
    shelf = MemoryShelf(time)
    await shelf.put("key", b"1", time() + 1)
    shelf.down = True
    for call in (
        shelf.get("key"),
        shelf.put("key", b"2", time() + 1),
        shelf.swap("key", b"1", b"2", time() + 1),
        shelf.drop("key"),
        shelf.drop_if("key", b"1"),
        shelf.count("counter", 1, time() + 1),
        shelf.take(Share("counter", 1, time() + 1)),
        shelf.add("set", "a", 1, time() + 1),
        shelf.remove("set", "a"),
        shelf.members("set"),
        every(shelf.keys("")),
        shelf.publish(b"message"),
        shelf.ready(),
    ):
        with pytest.raises(StoreError) as caught:
            await call
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
    shelf.down = False
    assert await shelf.get("key") == [b"1"]


async def test_who_listens_hears_that_it_was_down() -> None:
    shelf = MemoryShelf(FakeTime())
    async with listening(shelf) as heard:
        shelf.down = True
        await asyncio.sleep(0)
        shelf.down = False
        await shelf.publish(b"after")
        assert heard == [None, b"after"]


async def test_a_shelf_goes_down_after_so_many_calls() -> None:
    shelf = MemoryShelf(FakeTime())
    shelf.calls_left = 1
    await shelf.get("key")
    for _ in range(2):
        with pytest.raises(StoreError):
            await shelf.get("key")
    shelf.down = False
    await shelf.get("key")


async def test_what_lives_and_what_a_thief_would_have() -> None:
    time = FakeTime()
    shelf = MemoryShelf(time)
    await shelf.put("b", b"value", time() + 1)
    await shelf.add("a", "member", 1, time() + 2)
    assert shelf.left() == ["a", "b"]
    for word in (b"a", b"b", b"value", b"member"):
        assert word in shelf.dump()
    time.advance(1)
    assert shelf.left() == ["a"]
