"""A shelf in SQLite: a file that processes of one machine share, or the memory of one."""

from __future__ import annotations

import asyncio
import json
import math
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

from proxy.errors import StoreError
from proxy.session.database import MEMORY, Database, T
from proxy.session.shelf import Heard, Only, Share

_LOOK: Final = 0.05
"""Seconds between two looks for what other processes have published."""
_SWEEP: Final = 1.0
"""Seconds between two sweeps where nobody writes, which would sweep as well."""
_PORTION: Final = 32
"""Rows that one sweep takes away: more than a write brings, so that nothing piles up."""
_NEWS: Final = 60.0
"""Seconds that a message is kept for whoever was away."""
_PAGE: Final = 500

_SCHEMA: Final = """
CREATE TABLE kept (key TEXT PRIMARY KEY, value BLOB, until REAL NOT NULL);
CREATE INDEX kept_until ON kept (until);
CREATE TABLE members (
    key TEXT NOT NULL REFERENCES kept (key) ON DELETE CASCADE,
    member TEXT NOT NULL, score REAL NOT NULL, PRIMARY KEY (key, member)) WITHOUT ROWID;
CREATE TABLE news (
    id INTEGER PRIMARY KEY AUTOINCREMENT, message BLOB NOT NULL, until REAL NOT NULL);
CREATE TABLE about (birth BLOB NOT NULL);
INSERT INTO about VALUES (randomblob(16))
"""
"""A set is a row of ``kept`` without a value; ``birth`` tells one file from another."""

_PUT: Final = {
    Only.ALWAYS: "REPLACE INTO kept (value, until, key) VALUES (?1, ?2, ?3)",
    Only.ABSENT: "INSERT OR IGNORE INTO kept (value, until, key) VALUES (?1, ?2, ?3)",
    Only.PRESENT: "UPDATE kept SET value = ?1, until = ?2 WHERE key = ?3 AND value IS NOT NULL",
}
_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
_DROP: Final = "DELETE FROM kept WHERE key IN (SELECT value FROM json_each(?))"

_Place = tuple[bytes, int]
"""A file's birth, and the last message that was read in it."""


class SqliteShelf:
    """A Shelf in the file at ``path``; in memory, for one process alone, if that is ":memory:"."""

    trust = math.inf  # what others write is heard of, and a file that cannot be read is told of

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._alone = path == MEMORY
        self._file = Database(path, _SCHEMA)
        # News of others shall not wait for our own writing.
        self._news = self._file if self._alone else Database(path, _SCHEMA)
        self._wakers: list[asyncio.Event] = []

    async def get(self, *keys: str) -> list[bytes | None]:
        if not keys:
            return []
        asked = (self._clock(), json.dumps(keys))
        found = dict(
            await self._file.read(
                lambda file: file.execute(
                    "SELECT key, value FROM kept WHERE until > ?"
                    " AND key IN (SELECT value FROM json_each(?))",
                    asked,
                ).fetchall()
            )
        )
        values = (found.get(key) for key in keys)
        return [value if isinstance(value, bytes) else None for value in values]

    async def put(self, key: str, value: bytes, until: float, only: Only = Only.ALWAYS) -> bool:
        def work(file: sqlite3.Connection, now: float) -> bool:
            _end(file, key, now)
            return file.execute(_PUT[only], (value, until, key)).rowcount > 0

        return await self._write(work)

    async def swap(self, key: str, old: bytes, new: bytes, until: float) -> bool:
        def work(file: sqlite3.Connection, now: float) -> bool:
            _end(file, key, now)
            swap = "UPDATE kept SET value = ?, until = ? WHERE key = ? AND value = ?"
            return file.execute(swap, (new, until, key, old)).rowcount > 0

        return await self._write(work)

    async def drop(self, *keys: str) -> None:
        if keys:
            await self._write(lambda file, _: file.execute(_DROP, (json.dumps(keys),)).rowcount)

    async def drop_if(self, key: str, value: bytes) -> bool:
        def work(file: sqlite3.Connection, now: float) -> bool:
            _end(file, key, now)
            drop = "DELETE FROM kept WHERE key = ? AND value = ?"
            return file.execute(drop, (key, value)).rowcount > 0

        return await self._write(work)

    async def count(self, key: str, by: int, until: float) -> int:
        return await self._write(lambda file, now: _count(file, now, key, by, until))

    async def take(self, *shares: Share) -> list[bool]:
        def work(file: sqlite3.Connection, now: float) -> list[bool]:
            return [_take(file, now, share) for share in shares]

        return await self._write(work) if shares else []

    async def add(self, key: str, member: str, score: float, until: float) -> None:
        def work(file: sqlite3.Connection, now: float) -> None:
            _end(file, key, now)
            _add(file, key, member, score, until)

        await self._write(work)

    async def remove(self, key: str, *members: str) -> None:
        def work(file: sqlite3.Connection, _: float) -> None:
            remove = "DELETE FROM members WHERE key = ? AND member = ?"
            file.executemany(remove, [(key, member) for member in members])
            file.execute(
                "DELETE FROM kept WHERE key = ?1 AND value IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM members WHERE key = ?1)",
                (key,),
            )

        await self._write(work)

    async def members(self, key: str) -> list[str]:
        asked = (key, self._clock())
        found = await self._file.read(
            lambda file: file.execute(
                "SELECT member FROM kept JOIN members USING (key)"
                " WHERE key = ? AND until > ? ORDER BY score, member",
                asked,
            ).fetchall()
        )
        return [member for (member,) in found]

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        after, last = "", prefix + "\U0010ffff"
        while True:
            page = await self._page(prefix, after, last)
            for (key,) in page:
                yield key
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    async def _page(self, prefix: str, after: str, last: str) -> list[tuple[str]]:
        asked = (prefix, after, last, self._clock(), _PAGE)
        return await self._file.read(
            lambda file: file.execute(
                "SELECT key FROM kept WHERE key >= ? AND key > ? AND key < ? AND until > ?"
                " ORDER BY key LIMIT ?",
                asked,
            ).fetchall()
        )

    async def publish(self, message: bytes) -> None:
        def work(file: sqlite3.Connection, now: float) -> None:
            row = (message, now + _NEWS)
            file.execute("INSERT INTO news (message, until) VALUES (?, ?)", row)

        await self._write(work)
        for waker in self._wakers:
            waker.set()

    async def listen(self, heard: Heard) -> None:
        waker = asyncio.Event()
        self._wakers.append(waker)
        try:
            await self._follow(heard, waker)
        finally:
            self._wakers.remove(waker)

    async def _follow(self, heard: Heard, waker: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        swept, place = loop.time(), None
        while True:
            waker.clear()
            try:
                place, messages = await self._look(place)
            except StoreError:
                messages = [None]  # until it can be read again, nothing is known
            for message in messages:
                heard(message)
            if loop.time() - swept >= _SWEEP:
                with suppress(StoreError):
                    await self._sweep()
                swept = loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP if self._alone else _LOOK):
                    await waker.wait()

    async def _look(self, place: _Place | None) -> tuple[_Place, list[bytes | None]]:
        return await self._news.read(lambda file: _read_news(file, place))

    async def _sweep(self) -> None:
        """Without a reason to write, other processes are left alone."""
        now = self._clock()
        if await self._file.read(lambda file: _is_any_over(file, now)):
            await self._write(lambda *_: None)

    async def _write(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        now = self._clock()

        def swept(file: sqlite3.Connection) -> T:
            _sweep(file, now)
            return work(file, now)

        return await self._file.write(swept)

    async def ready(self) -> None:
        await self._file.read(lambda file: file.execute("SELECT birth FROM about").fetchone())

    async def close(self) -> None:
        await self._news.close()
        await self._file.close()


def _end(file: sqlite3.Connection, key: str, now: float) -> None:
    """Take away what lies under the key if its time is over."""
    file.execute("DELETE FROM kept WHERE key = ? AND until <= ?", (key, now))


def _add(file: sqlite3.Connection, key: str, member: str, score: float, until: float) -> None:
    file.execute("DELETE FROM kept WHERE key = ? AND value IS NOT NULL", (key,))
    file.execute(
        "INSERT INTO kept (key, until) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
        (key, until),
    )
    file.execute("REPLACE INTO members VALUES (?, ?, ?)", (key, member, score))


def _count(
    file: sqlite3.Connection, now: float, key: str, by: int, until: float, most: float = math.inf
) -> int:
    """The sum; nothing is added where that is more than ``most``."""
    _end(file, key, now)
    found = file.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
    value = found[0] if found else None
    had = int(value) if isinstance(value, bytes) and _NUMBER.fullmatch(value) else None
    total = by + (had or 0)
    if total <= most:
        put = _PUT[Only.ALWAYS] if had is None else "UPDATE kept SET value = ?1 WHERE key = ?3"
        file.execute(put, (b"%d" % total, until, key))
    return total


def _take(file: sqlite3.Connection, now: float, share: Share) -> bool:
    key, most, holder = share.key, share.most, share.holder
    if not holder:
        return _count(file, now, key, 1, share.until, most) <= most
    _end(file, key, now)
    file.execute("DELETE FROM members WHERE key = ? AND score <= ?", (key, now))
    others, own = file.execute(
        "SELECT count(*) FILTER (WHERE member <> ?2), count(*) FILTER (WHERE member = ?2)"
        " FROM members WHERE key = ?1",
        (key, holder),
    ).fetchone()
    if others >= most and not own:
        return False
    _add(file, key, holder, share.until, share.until)
    return True


def _sweep(file: sqlite3.Connection, now: float) -> None:
    file.execute(
        "DELETE FROM kept WHERE key IN"
        " (SELECT key FROM kept WHERE until <= ? ORDER BY until LIMIT ?)",
        (now, _PORTION),
    )
    file.execute(
        "DELETE FROM news WHERE until <= ? AND id IN (SELECT id FROM news ORDER BY id LIMIT ?)",
        (now, _PORTION),
    )


def _is_any_over(file: sqlite3.Connection, now: float) -> bool:
    (found,) = file.execute(
        "SELECT EXISTS (SELECT 1 FROM kept WHERE until <= ?1)"
        " OR (SELECT until FROM news ORDER BY id LIMIT 1) <= ?1",
        (now,),
    ).fetchone()
    return bool(found)


def _read_news(file: sqlite3.Connection, place: _Place | None) -> tuple[_Place, list[bytes | None]]:
    """Where the news are now, and what is new; None first if not all of it is there.

    Message ids have no gaps, so that whatever was swept in between is noticed.
    """
    birth, last = file.execute(
        "SELECT (SELECT birth FROM about),"
        " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'news'), 0)"
    ).fetchone()
    if place is None or place[0] != birth:
        return (birth, last), [None]
    rows = file.execute(
        "SELECT message FROM news WHERE id > ? AND id <= ? ORDER BY id", (place[1], last)
    ).fetchall()
    missed = [] if len(rows) == last - place[1] else [None]
    return (birth, last), [*missed, *(message for (message,) in rows)]
