"""The promise of ``proxy.session.shelf.Shelf`` as tests: a new shelf is done when they pass.

Subclass ``ShelfContract`` with the fixtures

- ``time``: the clock that the shelves get, and how it moves on. ``FakeTime`` where that clock is
  all that the shelf goes by; ``RealTime`` where another process counts the seconds as well;
- ``shelf``: an open, empty shelf of that clock, closed afterwards;
- ``other``: a second one on the same content, as another process has it; may be ``shelf`` itself
  where nothing else can be.
"""

from __future__ import annotations

import asyncio

import pytest

from proxy.session.shelf import Only, Shelf
from tests.session.counts_contract import CountsContract
from tests.session.shelf_basics import (
    KEYS,
    LONG,
    SHORT,
    VALUES,
    FakeTime,
    RealTime,
    Time,
    every,
    listening,
    until,
)

__all__ = [
    "LONG",
    "FakeTime",
    "RealTime",
    "ShelfContract",
    "Time",
    "every",
    "listening",
    "until",
]


class ValuesContract:
    """Values: one under each key."""

    @pytest.mark.parametrize("value", VALUES)
    async def test_what_was_put_is_got(self, shelf: Shelf, time: Time, value: bytes) -> None:
        assert await shelf.put("key", value, time() + LONG) is True
        assert await shelf.get("key") == [value]

    @pytest.mark.parametrize("key", KEYS)
    async def test_a_key_may_look_odd(self, shelf: Shelf, time: Time, key: str) -> None:
        await shelf.put(key, b"value", time() + LONG)
        assert await shelf.get(key) == [b"value"]
        assert await every(shelf.keys(key)) == {key}
        await shelf.drop(key)
        assert await shelf.get(key) == [None]

    async def test_many_values_come_in_the_order_of_the_keys(
        self, shelf: Shelf, time: Time
    ) -> None:
        for number in range(50):
            await shelf.put(f"key{number}", b"%d" % number, time() + LONG)
        asked = [f"key{number}" for number in range(60, -1, -3)]
        expected = [b"%d" % number if number < 50 else None for number in range(60, -1, -3)]
        assert await shelf.get(*asked) == expected

    async def test_one_key_may_be_asked_twice(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("a", b"1", time() + LONG)
        assert await shelf.get("a", "b", "a") == [b"1", None, b"1"]

    async def test_nothing_asked_nothing_got(self, shelf: Shelf) -> None:
        assert await shelf.get() == []
        await shelf.drop()

    async def test_a_later_value_replaces(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("key", b"1", time() + LONG)
        await shelf.put("key", b"2", time() + LONG)
        assert await shelf.get("key") == [b"2"]

    async def test_another_process_sees_the_same(
        self, shelf: Shelf, other: Shelf, time: Time
    ) -> None:
        await shelf.put("key", b"1", time() + LONG)
        assert await other.get("key") == [b"1"]
        await other.drop("key")
        assert await shelf.get("key") == [None]

    async def test_drop_takes_many_and_misses_none(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("a", b"1", time() + LONG)
        await shelf.put("b", b"2", time() + LONG)
        await shelf.put("c", b"3", time() + LONG)
        await shelf.drop("a", "b", "absent")
        await shelf.drop("a")
        assert await shelf.get("a", "b", "c") == [None, None, b"3"]


class ConditionsContract:
    """What is done only where something holds."""

    async def test_absent_takes_the_first_only(self, shelf: Shelf, time: Time) -> None:
        assert await shelf.put("key", b"1", time() + LONG, Only.ABSENT) is True
        assert await shelf.put("key", b"2", time() + LONG, Only.ABSENT) is False
        assert await shelf.get("key") == [b"1"]

    async def test_absent_takes_one_of_many_at_once(
        self, shelf: Shelf, other: Shelf, time: Time
    ) -> None:
        until = time() + LONG
        done = await asyncio.gather(
            *(
                (shelf if number % 2 else other).put("key", b"%d" % number, until, Only.ABSENT)
                for number in range(20)
            )
        )
        assert sum(done) == 1
        assert await shelf.get("key") == [b"%d" % done.index(True)]

    async def test_absent_holds_again_after_the_end(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("key", b"1", time() + SHORT)
        await time.elapse(SHORT * 1.5)
        assert await shelf.put("key", b"2", time() + LONG, Only.ABSENT) is True
        assert await shelf.get("key") == [b"2"]

    async def test_present_never_brings_back(self, shelf: Shelf, time: Time) -> None:
        assert await shelf.put("key", b"1", time() + LONG, Only.PRESENT) is False
        assert await shelf.get("key") == [None]
        await shelf.put("key", b"1", time() + LONG)
        assert await shelf.put("key", b"2", time() + LONG, Only.PRESENT) is True
        assert await shelf.get("key") == [b"2"]
        await shelf.drop("key")
        assert await shelf.put("key", b"3", time() + LONG, Only.PRESENT) is False

    async def test_present_means_living(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("key", b"1", time() + SHORT)
        await time.elapse(SHORT * 1.5)
        assert await shelf.put("key", b"2", time() + LONG, Only.PRESENT) is False
        assert await shelf.get("key") == [None]

    @pytest.mark.parametrize("value", VALUES)
    async def test_swap_where_the_old_value_lies(
        self, shelf: Shelf, time: Time, value: bytes
    ) -> None:
        await shelf.put("key", value, time() + LONG)
        assert await shelf.swap("key", value + b"!", b"new", time() + LONG) is False
        assert await shelf.swap("key", value, b"new", time() + LONG) is True
        assert await shelf.swap("key", value, b"newer", time() + LONG) is False
        assert await shelf.get("key") == [b"new"]

    async def test_swap_puts_nothing_where_nothing_lies(self, shelf: Shelf, time: Time) -> None:
        assert await shelf.swap("key", b"", b"new", time() + LONG) is False
        assert await shelf.get("key") == [None]

    async def test_swap_sets_the_new_end(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("longer", b"1", time() + SHORT)
        await shelf.put("shorter", b"1", time() + LONG)
        assert await shelf.swap("longer", b"1", b"2", time() + LONG)
        assert await shelf.swap("shorter", b"1", b"2", time() + SHORT)
        await time.elapse(SHORT * 1.5)
        assert await shelf.get("longer", "shorter") == [b"2", None]

    async def test_one_of_many_swaps_takes_place(
        self, shelf: Shelf, other: Shelf, time: Time
    ) -> None:
        await shelf.put("key", b"old", time() + LONG)
        done = await asyncio.gather(
            *(
                (shelf if number % 2 else other).swap("key", b"old", b"%d" % number, time() + LONG)
                for number in range(20)
            )
        )
        assert sum(done) == 1
        assert await shelf.get("key") == [b"%d" % done.index(True)]

    @pytest.mark.parametrize("value", VALUES)
    async def test_drop_if_where_the_value_lies(
        self, shelf: Shelf, time: Time, value: bytes
    ) -> None:
        await shelf.put("key", value, time() + LONG)
        assert await shelf.drop_if("key", value + b"!") is False
        assert await shelf.get("key") == [value]
        assert await shelf.drop_if("key", value) is True
        assert await shelf.get("key") == [None]
        assert await shelf.drop_if("key", value) is False

    async def test_what_is_past_its_end_is_neither_swapped_nor_dropped(
        self, shelf: Shelf, time: Time
    ) -> None:
        await shelf.put("key", b"1", time() + SHORT)
        await time.elapse(SHORT * 1.5)
        assert await shelf.swap("key", b"1", b"2", time() + LONG) is False
        assert await shelf.drop_if("key", b"1") is False
        assert await shelf.get("key") == [None]


class EndsContract:
    """Nothing outlives its time."""

    async def test_a_value_lives_until_its_end(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("short", b"1", time() + SHORT)
        await shelf.put("long", b"2", time() + LONG)
        await time.elapse(SHORT * 1.5)
        assert await shelf.get("short", "long") == [None, b"2"]
        assert await every(shelf.keys("")) == {"long"}

    @pytest.mark.parametrize("ago", [0.0, 0.5, LONG, 1e9])
    async def test_what_is_over_is_nothing(self, shelf: Shelf, time: Time, ago: float) -> None:
        await shelf.put("key", b"1", time() + LONG)
        await shelf.put("key", b"2", time() - ago)
        assert await shelf.get("key") == [None]
        assert await every(shelf.keys("")) == set()

    async def test_a_set_lives_until_its_last_end(self, shelf: Shelf, time: Time) -> None:
        await shelf.add("first", "a", 1, time() + SHORT)
        await shelf.add("first", "b", 2, time() + LONG)
        await shelf.add("second", "a", 1, time() + LONG)
        await shelf.add("second", "b", 2, time() + SHORT)
        await shelf.add("third", "a", 1, time() + SHORT)
        await time.elapse(SHORT * 1.5)
        assert await shelf.members("first") == ["a", "b"]
        assert await shelf.members("second") == ["a", "b"]
        assert await shelf.members("third") == []

    async def test_a_set_that_ended_begins_anew(self, shelf: Shelf, time: Time) -> None:
        await shelf.add("set", "old", 1, time() + SHORT)
        await time.elapse(SHORT * 1.5)
        await shelf.add("set", "new", 2, time() + LONG)
        assert await shelf.members("set") == ["new"]

    async def test_a_set_that_is_over_is_nothing(self, shelf: Shelf, time: Time) -> None:
        await shelf.add("set", "a", 1, time() - 1)
        assert await shelf.members("set") == []
        assert await every(shelf.keys("")) == set()

    async def test_an_end_far_away_is_fine(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("key", b"1", time() + 100 * 365 * 86400)
        await shelf.add("set", "a", 1, time() + 100 * 365 * 86400)
        assert await shelf.get("key") == [b"1"]
        assert await shelf.members("set") == ["a"]


class SetsContract:
    """Sets: members with a score."""

    async def test_members_come_by_score(self, shelf: Shelf, time: Time) -> None:
        for member, score in (("c", 3.5), ("a", 1_800_000_000.25), ("b", -2.0), ("d", 3.25)):
            await shelf.add("set", member, score, time() + LONG)
        assert await shelf.members("set") == ["b", "d", "c", "a"]

    async def test_a_member_is_there_once_with_its_last_score(
        self, shelf: Shelf, time: Time
    ) -> None:
        await shelf.add("set", "a", 1, time() + LONG)
        await shelf.add("set", "b", 2, time() + LONG)
        await shelf.add("set", "a", 3, time() + LONG)
        assert await shelf.members("set") == ["b", "a"]

    async def test_the_last_member_takes_the_set_with_it(self, shelf: Shelf, time: Time) -> None:
        for member in "abc":
            await shelf.add("set", member, 1, time() + LONG)
        await shelf.remove("set", "a", "absent")
        assert sorted(await shelf.members("set")) == ["b", "c"]
        await shelf.remove("set", "b", "c")
        await shelf.remove("set", "c")
        assert await shelf.members("set") == []
        assert await every(shelf.keys("")) == set()

    async def test_a_set_that_was_emptied_has_no_end_left(self, shelf: Shelf, time: Time) -> None:
        await shelf.add("set", "a", 1, time() + LONG)
        await shelf.remove("set", "a")
        await shelf.add("set", "b", 1, time() + SHORT)
        await time.elapse(SHORT * 1.5)
        assert await shelf.members("set") == []

    async def test_drop_takes_whole_sets(self, shelf: Shelf, time: Time) -> None:
        await shelf.add("set", "a", 1, time() + LONG)
        await shelf.drop("set")
        assert await shelf.members("set") == []

    async def test_no_set_no_members(self, shelf: Shelf) -> None:
        assert await shelf.members("set") == []
        await shelf.remove("set", "a")
        await shelf.remove("set")

    async def test_a_value_is_no_set_and_a_set_no_value(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("value", b"1", time() + LONG)
        await shelf.add("set", "a", 1, time() + LONG)
        assert await shelf.get("set", "value") == [None, b"1"]
        assert await shelf.members("value") == []


class KeysContract:
    """Walks over keys."""

    async def test_keys_by_their_beginning(self, shelf: Shelf, time: Time) -> None:
        for key in ("card:1", "card:2", "cards", "Card:3", "person:card:"):
            await shelf.put(key, b"", time() + LONG)
        await shelf.add("card:set", "a", 1, time() + LONG)
        assert await every(shelf.keys("card:")) == {"card:1", "card:2", "card:set"}
        assert await every(shelf.keys("none")) == set()

    @pytest.mark.parametrize("odd", ["*", "?", "[ab]", "a-z", "\\", "^", "%", "_", "a*", "\\*"])
    async def test_a_beginning_is_taken_as_it_is(self, shelf: Shelf, time: Time, odd: str) -> None:
        for key in (f"{odd}:1", "a:1", "b:1", "ab:1", "\\a:1", "anything:1"):
            await shelf.put(key, b"", time() + LONG)
        assert await every(shelf.keys(f"{odd}:")) == {f"{odd}:1"}

    async def test_all_of_many(self, shelf: Shelf, time: Time) -> None:
        until = time() + LONG
        for begin in range(0, 3000, 100):
            await asyncio.gather(
                *(shelf.put(f"key:{n}", b"", until) for n in range(begin, begin + 100))
            )
        assert await every(shelf.keys("key:")) == {f"key:{n}" for n in range(3000)}

    async def test_keys_may_go_during_the_walk(self, shelf: Shelf, time: Time) -> None:
        for number in range(200):
            await shelf.put(f"key:{number}", b"", time() + LONG)
        async for key in shelf.keys("key:"):
            await shelf.drop(key)
        assert await every(shelf.keys("key:")) == set()


class NewsContract:
    """What one process tells all."""

    async def test_a_message_reaches_everybody(self, shelf: Shelf, other: Shelf) -> None:
        async with listening(shelf) as first, listening(other) as second:
            for message in (b"one", b"\0\xff\r\n", b"3", b""):
                await shelf.publish(message)
                await until(lambda: len(first) == len(second))
            await other.publish(b"from the other")
            expected = [b"one", b"\0\xff\r\n", b"3", b"", b"from the other"]
            await until(lambda: len(first) >= 5 and len(second) >= 5)
            assert first == expected
            assert second == expected

    async def test_messages_come_in_order(self, shelf: Shelf, other: Shelf) -> None:
        messages = [b"%d" % number for number in range(100)]
        async with listening(other) as heard:
            for message in messages:
                await shelf.publish(message)
            await until(lambda: len(heard) >= 100)
            assert heard == messages

    async def test_a_message_comes_soon(self, shelf: Shelf, other: Shelf) -> None:
        async with listening(other) as heard:
            await shelf.publish(b"now")
            await until(lambda: heard == [b"now"], 0.5)

    async def test_nobody_needs_to_listen(self, shelf: Shelf) -> None:
        await shelf.publish(b"nobody")
        async with listening(shelf) as heard:
            await shelf.publish(b"somebody")
            await until(lambda: bool(heard))
            assert heard == [b"somebody"]

    async def test_several_listen_on_one_shelf(self, shelf: Shelf) -> None:
        async with listening(shelf) as first, listening(shelf) as second:
            await shelf.publish(b"both")
            await until(lambda: first == [b"both"] and second == [b"both"])

    async def test_answers_come_while_it_listens(self, shelf: Shelf, time: Time) -> None:
        async with listening(shelf):
            await shelf.put("key", b"1", time() + LONG)
            assert await shelf.get("key") == [b"1"]
        assert await shelf.get("key") == [b"1"]

    async def test_there_is_trust_only_in_what_is_told(self, shelf: Shelf) -> None:
        assert shelf.trust >= 0


class LifeContract:
    """Opening and closing."""

    async def test_a_working_shelf_is_ready(self, shelf: Shelf) -> None:
        await shelf.ready()

    async def test_closing_twice_is_fine(self, other: Shelf) -> None:
        await other.ready()
        await other.close()
        await other.close()


class ShelfContract(
    ValuesContract,
    ConditionsContract,
    EndsContract,
    SetsContract,
    CountsContract,
    KeysContract,
    NewsContract,
    LifeContract,
):
    """What holds for every shelf."""
