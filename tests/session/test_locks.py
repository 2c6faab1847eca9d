"""One holder among all processes; whoever dies is followed soon, whoever works is not."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from proxy.errors import Reason, StoreError
from proxy.session.locks import Locks
from proxy.session.shelf import Only, Shelf
from proxy.session.sqlite import SqliteShelf
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import NOW
from tests.session.shelf_contract import until

LIFE = 4.0
ROOT = Path(__file__).resolve().parents[2]


def _tokens() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"token {next(numbers)}"


class Watched(MemoryShelf):
    """Counts renewals that went well and tries that did not."""

    renewed = refused = failed = 0

    async def swap(self, key: str, old: bytes, new: bytes, until: float) -> bool:
        try:
            done = await super().swap(key, old, new, until)
        except StoreError:
            self.failed += 1
            raise
        self.renewed += done
        self.refused += not done
        return done


class Hiccup(MemoryShelf):
    """Fails to take a lock at the looks whose numbers are in ``failing``, done or ``undone``."""

    def __init__(self, clock: FakeClock, *failing: int, undone: bool) -> None:
        super().__init__(clock)
        self.looks = 0
        self._failing = failing
        self._undone = undone

    async def put(self, key: str, value: bytes, until: float, only: Only = Only.ALWAYS) -> bool:
        self.looks += 1
        fails = self.looks in self._failing
        done = not (fails and self._undone) and await super().put(key, value, until, only)
        if fails:
            raise StoreError(Reason.STORE_UNAVAILABLE)
        return done


class Deaf(MemoryShelf):
    """Does what it is told, and its answers are lost."""

    async def put(self, key: str, value: bytes, until: float, only: Only = Only.ALWAYS) -> bool:
        await super().put(key, value, until, only)
        raise StoreError(Reason.STORE_UNAVAILABLE)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def shelf(clock: FakeClock) -> Watched:
    return Watched(clock)


@pytest.fixture
def locks(shelf: Watched, clock: FakeClock) -> Locks:
    return Locks(shelf, clock, _tokens())


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[list[Locks]]:
    """The locks of two processes, as far as the shelf can tell."""
    async with AsyncExitStack() as stack:
        shelves = [SqliteShelf(str(tmp_path / "shelf"), time.time) for _ in range(2)]
        for shelf in shelves:
            stack.push_async_callback(shelf.close)
        yield [Locks(shelf, time.time, lambda: os.urandom(16).hex()) for shelf in shelves]


async def _held_by(shelf: Shelf) -> bytes | None:
    [holder] = await shelf.get("lock:key")
    return holder


async def test_one_holds_it_at_a_time(processes: list[Locks]) -> None:
    inside, most, done = 0, 0, 0

    async def work(locks: Locks) -> None:
        nonlocal inside, most, done
        async with locks.hold("key"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            done += 1

    await asyncio.gather(*(work(locks) for locks in processes * 6))
    assert (most, done) == (1, 12)


async def test_other_keys_are_other_locks(locks: Locks, shelf: Watched) -> None:
    async with locks.hold("a"), locks.hold("b"):
        assert shelf.left() == ["lock:a", "lock:b"]


async def test_nothing_is_left_of_it(locks: Locks, shelf: Watched) -> None:
    async with locks.hold("key"):
        assert shelf.left() == ["lock:key"]
    assert shelf.left() == []


async def test_it_is_released_when_the_work_fails(locks: Locks, shelf: Watched) -> None:
    with pytest.raises(LookupError):
        async with locks.hold("key"):
            raise LookupError
    assert shelf.left() == []


async def test_it_is_released_when_the_work_is_cancelled(locks: Locks, shelf: Watched) -> None:
    async def work() -> None:
        async with locks.hold("key"):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    while not shelf.left():  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert shelf.left() == []


async def test_who_stops_waiting_leaves_the_lock_to_its_holder(
    locks: Locks, shelf: Watched
) -> None:
    async with locks.hold("key"):
        holder = await _held_by(shelf)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.12), locks.hold("key"):
                pytest.fail("two hold it")
        assert await _held_by(shelf) == holder


async def test_it_is_renewed_while_the_work_lasts(
    locks: Locks, shelf: Watched, clock: FakeClock
) -> None:
    """A lock of fixed length lets a slow provider be asked twice (oauth2-proxy: 2 s)."""
    async with locks.hold("key"):
        holder = await _held_by(shelf)
        clock.advance(LIFE - 0.1)
        await until(lambda: shelf.renewed == 1)
        clock.advance(LIFE - 0.1)
        await until(lambda: shelf.renewed == 2)
        clock.advance(LIFE - 0.1)
        assert await _held_by(shelf) == holder


async def test_a_lock_that_is_not_renewed_is_over_after_four_seconds(
    locks: Locks, shelf: Watched, clock: FakeClock
) -> None:
    await shelf.put("lock:key", b"one that died", NOW + LIFE)
    taken = asyncio.Event()

    async def wait() -> None:
        async with locks.hold("key"):
            taken.set()

    task = asyncio.create_task(wait())
    clock.advance(LIFE - 0.01)
    asked = shelf.asked
    await until(lambda: shelf.asked > asked + 2)
    assert not taken.is_set()
    clock.advance(0.01)
    async with asyncio.timeout(1):
        await task


async def test_a_shelf_that_is_away_for_a_moment_costs_no_lock(
    locks: Locks, shelf: Watched, clock: FakeClock
) -> None:
    async with locks.hold("key"):
        holder = await _held_by(shelf)
        shelf.down = True
        await until(lambda: shelf.failed == 1)
        shelf.down = False
        clock.advance(LIFE - 0.1)
        await until(lambda: shelf.renewed == 1)
        clock.advance(LIFE - 0.1)
        assert await _held_by(shelf) == holder
    assert shelf.left() == []


async def test_a_lock_that_lapsed_is_taken_again_where_it_is_free(
    locks: Locks, shelf: Watched
) -> None:
    """After FLUSHALL, or a failover that lost the last moments."""
    async with locks.hold("key"):
        holder = await _held_by(shelf)
        await shelf.drop("lock:key")
        await until(lambda: shelf.left() == ["lock:key"])
        assert await _held_by(shelf) == holder
    assert shelf.left() == []


async def test_a_stolen_lock_is_its_thiefs(locks: Locks, shelf: Watched, clock: FakeClock) -> None:
    """The holder finishes what it does, and never releases another's lock."""
    finished = False
    async with locks.hold("key"):
        clock.advance(LIFE)
        async with locks.hold("key"):
            thief = await _held_by(shelf)
            await until(lambda: shelf.renewed == 1 and shelf.refused == 1)
            assert await _held_by(shelf) == thief
            finished = True
    assert finished
    assert shelf.left() == []


async def test_the_first_holder_releases_nothing_of_the_thiefs(
    locks: Locks, shelf: Watched, clock: FakeClock
) -> None:
    async with AsyncExitStack() as thief:
        async with locks.hold("key"):
            clock.advance(LIFE)
            await thief.enter_async_context(locks.hold("key"))
            holder = await _held_by(shelf)
        assert holder is not None
        assert await _held_by(shelf) == holder


async def test_waiting_fails_with_the_shelf(locks: Locks, shelf: Watched) -> None:
    shelf.down = True
    with pytest.raises(StoreError):
        async with locks.hold("key"):
            pytest.fail("nobody gave it")


@pytest.mark.parametrize(
    ("undone", "looks"),
    [pytest.param(True, 2, id="the look"), pytest.param(False, 2, id="its answer")],
)
async def test_one_look_that_fails_costs_nobody_who_waits_the_lock(
    clock: FakeClock, undone: bool, looks: int
) -> None:
    """All who waited failed with it, of which there may be hundreds."""
    shelf = Hiccup(clock, 1, undone=undone)
    async with asyncio.timeout(2), Locks(shelf, clock, _tokens()).hold("key"):
        assert await _held_by(shelf) == b"token 0"
        assert shelf.looks == looks
    assert shelf.left() == []


async def test_a_look_that_fails_takes_no_lock_from_its_holder(clock: FakeClock) -> None:
    """One by one they are borne with, as long as none follows on another."""
    shelf = Hiccup(clock, 2, 4, undone=True)
    locks = Locks(shelf, clock, _tokens())
    taken = asyncio.Event()

    async def wait() -> None:
        async with locks.hold("key"):
            taken.set()

    async with locks.hold("key"):
        task = asyncio.create_task(wait())
        await until(lambda: shelf.looks > 5)
        assert await _held_by(shelf) == b"token 0"
        assert not taken.is_set()
    async with asyncio.timeout(2):
        await task
    assert shelf.left() == []


async def test_two_looks_that_fail_one_after_the_other_are_a_failure(clock: FakeClock) -> None:
    with pytest.raises(StoreError):
        async with Locks(Hiccup(clock, 1, 2, undone=True), clock, _tokens()).hold("key"):
            pytest.fail("nobody gave it")


async def test_releasing_never_fails(locks: Locks, shelf: Watched, clock: FakeClock) -> None:
    async with locks.hold("key"):
        shelf.down = True
    shelf.down = False
    clock.advance(LIFE)
    assert shelf.left() == []


async def test_a_lock_taken_without_our_knowing_is_released(clock: FakeClock) -> None:
    shelf = Deaf(clock)
    with pytest.raises(StoreError):
        async with Locks(shelf, clock, _tokens()).hold("key"):
            pytest.fail("nobody said so")
    assert shelf.left() == []


_HOLDER = """
import asyncio, os, sys, time
from proxy.session.locks import Locks
from proxy.session.sqlite import SqliteShelf

async def main():
    locks = Locks(SqliteShelf(sys.argv[1], time.time), time.time, lambda: os.urandom(16).hex())
    async with locks.hold("key"):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_holder_that_is_killed_is_followed_within_five_seconds(tmp_path: Path) -> None:
    path = str(tmp_path / "shelf")
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HOLDER, path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    shelf = SqliteShelf(path, time.time)
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        locks = Locks(shelf, time.time, lambda: os.urandom(16).hex())
        async with locks.hold("key"):
            assert time.monotonic() - killed < 5
    finally:
        with suppress(ProcessLookupError):
            holder.kill()
        await holder.communicate()
        await shelf.close()
