"""The part of the promise of a shelf that is about counters and shares, as tests."""

from __future__ import annotations

import asyncio

import pytest

from proxy.session.shelf import Share, Shelf
from tests.session.shelf_basics import LONG, SHORT, Time


class CountsContract:
    """Counters, and shares of what is there."""

    async def test_a_counter_adds_up(self, shelf: Shelf, other: Shelf, time: Time) -> None:
        until = time() + LONG
        assert await shelf.count("counter", 1, until) == 1
        assert await other.count("counter", 2, until) == 3
        assert await shelf.count("counter", -4, until) == -1
        assert await shelf.count("counter", 0, until) == -1
        assert await shelf.count("another", 7, until) == 7
        assert await other.get("counter", "another") == [b"-1", b"7"]

    async def test_many_at_once_miss_none(self, shelf: Shelf, other: Shelf, time: Time) -> None:
        until = time() + LONG
        sums = await asyncio.gather(
            *((shelf if n % 2 else other).count("counter", 1, until) for n in range(200))
        )
        assert sorted(sums) == list(range(1, 201))

    async def test_a_counter_lives_until_its_first_end(self, shelf: Shelf, time: Time) -> None:
        await shelf.count("short", 1, time() + SHORT)
        await shelf.count("short", 1, time() + LONG)
        await shelf.count("long", 1, time() + LONG)
        await shelf.count("long", 1, time() + SHORT)
        await time.elapse(SHORT * 1.5)
        assert await shelf.count("short", 1, time() + LONG) == 1
        assert await shelf.count("long", 1, time() + LONG) == 3

    @pytest.mark.parametrize("ago", [0.0, 0.5, LONG])
    async def test_a_counter_that_is_over_is_nothing(
        self, shelf: Shelf, time: Time, ago: float
    ) -> None:
        assert await shelf.count("counter", 3, time() - ago) == 3
        assert await shelf.count("counter", 3, time() + LONG) == 3

    async def test_what_is_no_counter_counts_as_nothing(self, shelf: Shelf, time: Time) -> None:
        until = time() + LONG
        for value in (b"text", b"", b"1.5", b" 7", b"9" * 30):
            await shelf.put("value", value, until)
            assert await shelf.count("value", 2, until) == 2
        await shelf.add("set", "member", 1, until)
        assert await shelf.count("set", 2, until) == 2
        assert await shelf.members("set") == []
        await shelf.drop("set")
        assert await shelf.count("set", 1, until) == 1

    async def test_shares_of_a_counter_are_as_many_as_there_are(
        self, shelf: Shelf, other: Shelf, time: Time
    ) -> None:
        share = Share("counter", 30, time() + LONG)
        taken = await asyncio.gather(*((shelf if n % 2 else other).take(share) for n in range(100)))
        assert sum(one for (one,) in taken) == 30
        assert await shelf.get("counter") == [b"30"]  # who got none is not counted
        await shelf.count("counter", -1, time() + LONG)
        assert await other.take(share, share) == [True, False]

    async def test_a_counters_shares_are_back_when_it_ends(self, shelf: Shelf, time: Time) -> None:
        share = Share("counter", 1, time() + SHORT)
        assert await shelf.take(share, share) == [True, False]
        await time.elapse(SHORT * 1.5)
        assert await shelf.take(Share("counter", 1, time() + LONG)) == [True]

    async def test_holders_are_as_many_as_there_are_places(
        self, shelf: Shelf, other: Shelf, time: Time
    ) -> None:
        until = time() + LONG
        taken = await asyncio.gather(
            *(
                (shelf if n % 2 else other).take(Share("places", 30, until, f"holder{n}"))
                for n in range(100)
            )
        )
        assert sum(one for (one,) in taken) == 30
        holders = await shelf.members("places")
        assert sorted(holders) == sorted(f"holder{n}" for n in range(100) if taken[n][0])
        await other.remove("places", holders[0])
        assert await shelf.take(Share("places", 30, until, "next")) == [True]
        assert await shelf.take(Share("places", 30, until, "one more")) == [False]

    async def test_a_place_is_free_when_its_holder_does_not_come_back(
        self, shelf: Shelf, other: Shelf, time: Time
    ) -> None:
        await shelf.take(Share("places", 2, time() + SHORT, "dies"))
        await shelf.take(Share("places", 2, time() + LONG, "lives"))
        assert await other.take(Share("places", 2, time() + LONG, "waits")) == [False]
        await time.elapse(SHORT * 1.5)
        assert await other.take(Share("places", 2, time() + LONG, "waits")) == [True]
        assert await other.take(Share("places", 2, time() + LONG, "too late")) == [False]
        assert sorted(await shelf.members("places")) == ["lives", "waits"]

    async def test_a_holder_may_stay(self, shelf: Shelf, other: Shelf, time: Time) -> None:
        assert await shelf.take(Share("places", 1, time() + SHORT, "a")) == [True]
        assert await shelf.take(Share("places", 1, time() + LONG, "a")) == [True]
        await time.elapse(SHORT * 1.5)
        assert await other.take(Share("places", 1, time() + LONG, "b")) == [False]
        await shelf.remove("places", "a")
        assert await other.take(Share("places", 1, time() + LONG, "b")) == [True]

    async def test_shares_of_both_kinds_in_one_go(self, shelf: Shelf, time: Time) -> None:
        until = time() + LONG
        counted = [Share(f"counter{n}", 1, until) for n in range(3)]
        places = [Share(f"places{n}", 1, until, "a") for n in range(3)]
        assert await shelf.take(*counted[:2], *places[:2]) == [True] * 4
        others = [Share(f"places{n}", 1, until, "b") for n in range(3)]
        assert await shelf.take(*counted, *others) == [False, False, True, False, False, True]
        assert await shelf.take() == []

    async def test_places_where_a_value_was(self, shelf: Shelf, time: Time) -> None:
        await shelf.put("places", b"value", time() + LONG)
        assert await shelf.take(Share("places", 1, time() + LONG, "a")) == [True]
        assert await shelf.get("places") == [None]
        assert await shelf.members("places") == ["a"]
