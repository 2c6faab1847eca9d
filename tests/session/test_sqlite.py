"""The shelf in SQLite: the promise of every shelf, and what this one does with time and files."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.errors import StoreError
from proxy.session.shelf import Shelf
from proxy.session.sqlite import SqliteShelf
from tests.session.shelf_contract import (
    LONG,
    FakeTime,
    ShelfContract,
    every,
    listening,
    until,
)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "shelf.db"


async def _open(path: Path, time: FakeTime) -> AsyncIterator[SqliteShelf]:
    shelf = SqliteShelf(str(path), time)
    yield shelf
    await shelf.close()


shelf = pytest.fixture(_open, name="shelf")
other = pytest.fixture(_open, name="other")


class TestInAFile(ShelfContract):
    """Each fixture of this module; two shelves on one file are as two processes."""


class TestInMemory(ShelfContract):
    @pytest.fixture
    async def shelf(self, time: FakeTime) -> AsyncIterator[Shelf]:
        shelf = SqliteShelf(":memory:", time)
        yield shelf
        await shelf.close()

    @pytest.fixture
    def other(self, shelf: Shelf) -> Shelf:
        return shelf


def _rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as file:
        counted = file.execute(
            "SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM members),"
            " (SELECT count(*) FROM news)"
        ).fetchone()
        return dict(zip(("kept", "members", "news"), counted, strict=True))


async def _sign_in_and_out(shelf: Shelf, time: FakeTime, number: int) -> None:
    """What a session leaves on a shelf, from its beginning to its end."""
    now = time()
    await shelf.put(f"session:{number}", b"x" * 1500, now + 3600)
    await shelf.add(f"person:{number}", str(number), now, now + 3600)
    await shelf.put(f"ended:{number}", b"x" * 100, now + 600)
    await shelf.publish(b"ended %d" % number)
    await shelf.drop(f"session:{number}")
    await shelf.remove(f"person:{number}", str(number))


async def test_nothing_is_left_and_nothing_grows(
    shelf: SqliteShelf, path: Path, time: FakeTime
) -> None:
    sizes, rows = [], []
    for number in range(900):
        await _sign_in_and_out(shelf, time, number)
        time.advance(10)
        if number % 300 == 299:
            sizes.append(path.stat().st_size)
            rows.append(_rows(path))
    assert rows == [rows[0]] * 3
    assert sum(rows[0].values()) < 80
    assert sizes[1:] == sizes[:1] * 2
    wal = path.with_name(path.name + "-wal")
    assert wal.stat().st_size < 8 * 1024 * 1024
    time.advance(3600)
    for _ in range(4):
        await shelf.drop("anything")
    assert _rows(path) == {"kept": 0, "members": 0, "news": 0}


async def test_what_is_over_goes_while_nobody_writes(
    shelf: SqliteShelf, path: Path, time: FakeTime
) -> None:
    for number in range(100):
        await shelf.put(f"key:{number}", b"1", time() + 10)
        await shelf.add(f"set:{number}", "member", 1, time() + 10)
        await shelf.publish(b"news")
    assert _rows(path) == {"kept": 200, "members": 100, "news": 100}
    async with listening(shelf):
        time.advance(100)
        await until(lambda: _rows(path)["kept"] <= 168)  # in portions
        for _ in range(7):
            await shelf.drop("anything")
        assert _rows(path) == {"kept": 0, "members": 0, "news": 0}


async def test_time_that_has_passed_counts_although_nothing_was_swept(
    shelf: SqliteShelf, path: Path, time: FakeTime
) -> None:
    await shelf.put("key", b"1", time() + 10)
    await shelf.add("set", "a", 1, time() + 10)
    time.advance(10)
    assert await shelf.get("key") == [None]
    assert await shelf.members("set") == []
    assert await every(shelf.keys("")) == set()
    assert _rows(path)["kept"] == 2


async def test_the_content_outlives_the_process(
    shelf: SqliteShelf, path: Path, time: FakeTime
) -> None:
    await shelf.put("key", b"1", time() + LONG)
    await shelf.add("set", "a", 1, time() + LONG)
    await shelf.close()
    again = SqliteShelf(str(path), time)
    assert await again.get("key") == [b"1"]
    assert await again.members("set") == ["a"]
    await again.close()


async def test_a_value_takes_the_place_of_a_set_with_its_members(
    shelf: SqliteShelf, path: Path, time: FakeTime
) -> None:
    await shelf.add("key", "a", 1, time() + LONG)
    await shelf.put("key", b"1", time() + LONG)
    assert await shelf.members("key") == []
    assert _rows(path)["members"] == 0
    await shelf.add("key", "b", 1, time() + LONG)
    assert await shelf.members("key") == ["b"]


async def test_what_is_no_value_of_ours_is_nothing(
    shelf: SqliteShelf, path: Path, time: FakeTime
) -> None:
    await shelf.put("key", b"1", time() + LONG)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE kept SET value = 'text'")
    assert await shelf.get("key") == [None]


async def test_nothing_has_an_end_that_is_no_time(shelf: SqliteShelf) -> None:
    with pytest.raises(StoreError):
        await shelf.put("key", b"1", math.nan)


async def test_news_are_trusted_for_as_long_as_they_come(shelf: SqliteShelf) -> None:
    assert shelf.trust == math.inf


async def test_a_listener_that_was_away_for_a_while_misses_nothing(
    shelf: SqliteShelf, other: SqliteShelf, path: Path
) -> None:
    async with listening(shelf) as heard:
        _hide(path)
        await until(lambda: heard[:1] == [None])  # what it knows it cannot rely on
        _show(path)
        await other.publish(b"1")
        await until(lambda: heard[-1:] == [b"1"])
        assert set(heard) == {None, b"1"}


async def test_a_listener_that_missed_something_is_told_so(
    shelf: SqliteShelf, other: SqliteShelf, path: Path, time: FakeTime
) -> None:
    async with listening(shelf) as heard:
        _hide(path)
        await until(lambda: bool(heard))
        with closing(sqlite3.connect(path.parent.with_name("hidden") / path.name)) as file, file:
            file.execute("INSERT INTO news (message, until) VALUES ('missed', 0)")
            file.execute("DELETE FROM news")
        heard.clear()
        _show(path)
        await other.publish(b"1")
        await until(lambda: heard[-1:] == [b"1"])
        assert heard[-2:] == [None, b"1"]


async def test_a_listener_hears_of_another_file(shelf: SqliteShelf, path: Path) -> None:
    await shelf.publish(b"0")
    async with listening(shelf) as heard:
        for each in path.parent.iterdir():
            each.unlink()
        await until(lambda: heard == [None])
        await shelf.publish(b"1")
        await until(lambda: heard == [None, b"1"])


def _hide(path: Path) -> None:
    """As a folder that is mounted no more."""
    path.parent.rename(path.parent.with_name("hidden"))


def _show(path: Path) -> None:
    path.parent.with_name("hidden").rename(path.parent)


async def test_a_listener_goes_on_while_others_write_for_long(
    shelf: SqliteShelf, other: SqliteShelf, path: Path, time: FakeTime
) -> None:
    await shelf.put("key", b"1", time() + LONG)
    async with listening(other) as heard:
        await shelf.publish(b"before")
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            refused = asyncio.gather(
                *(other.put("key", b"2", time() + LONG) for _ in range(5)), return_exceptions=True
            )
            await until(lambda: heard == [b"before"], 0.5)
            await refused
        assert {type(each) for each in refused.result()} == {StoreError}
        assert heard == [b"before"]


async def test_whatever_is_asked_of_a_closed_shelf_is_an_error(shelf: SqliteShelf) -> None:
    await shelf.close()
    for call in (
        shelf.get("key"),
        shelf.put("key", b"1", 1e10),
        shelf.members("set"),
        shelf.publish(b"1"),
        shelf.ready(),
    ):
        with pytest.raises(StoreError):
            await call
