"""One SQLite database, reached from a thread of its own; opened when needed, and after a fault."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from proxy.errors import Reason, StoreError

MEMORY: Final = ":memory:"
"""The path of a database that nobody else sees, and that is gone when it is closed."""
_BUSY: Final = 0.5
"""Seconds that a statement waits for other processes, and that work waits for other work."""
_LIMIT: Final = 2.0
"""Seconds until whoever waits is told that the disk does not answer."""
_BENIGN: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
"""Errors after which a connection is as good as before."""
_VERSION: Final = 1
_APPLICATION: Final = 0x61757468
"""Marks the file as ours ("auth")."""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Database:
    """``schema`` in a file, created with mode 0600 where there is none, or in memory.

    Whatever goes wrong is a StoreError within two seconds, usually within one; each call tries
    anew, so that it heals when the file does. A file that was removed or replaced is noticed.
    """

    def __init__(self, path: str, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._thread = ThreadPoolExecutor(1, "sqlite")
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """What ``work`` returns, which runs on the thread."""
        return await self._run(work)

    async def write(self, work: Work[T]) -> T:
        """The same as one transaction that keeps other processes from writing."""
        return await self._run(lambda connection: _transact(connection, work))

    async def close(self) -> None:
        """End the thread and the connection; whatever is asked later is a StoreError."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT):
                await loop.run_in_executor(self._thread, self._forget)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreError(Reason.STORE_UNAVAILABLE, "the session file was closed")
        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_LIMIT):
                return await loop.run_in_executor(self._thread, self._do, work, begun)
        except (sqlite3.Error, OSError) as exc:
            words = f"the session file: {str(exc) or 'no answer in time'}"
            raise StoreError(Reason.STORE_UNAVAILABLE, words) from exc

    def _do(self, work: Work[T], begun: float) -> T:
        if time.monotonic() - begun > _BUSY:
            # Behind others that waited in vain: nobody shall wait for the sum of it.
            raise TimeoutError
        try:
            return work(self._open())
        except sqlite3.Error as exc:
            code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
            if self._path != MEMORY and code not in _BENIGN:
                self._forget()
            raise

    def _open(self) -> sqlite3.Connection:
        """The connection, while the path still leads to the file that it has open."""
        if self._connection is not None and self._inode == self._look():
            return self._connection
        self._forget()
        if self._path != MEMORY:
            number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                check_owner(os.fstat(number))
            finally:
                os.close(number)
        inode = self._look()
        # Every call is on one thread at a time, if not always the one that connected.
        connection = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, inode
        return connection

    def _look(self) -> tuple[int, int] | None:
        if self._path == MEMORY:
            return None
        with suppress(FileNotFoundError):
            found = os.stat(self._path)
            return found.st_dev, found.st_ino
        return None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _use_wal(connection)
        # With WAL, a power cut loses at most the last moments, and never breaks the file.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA journal_size_limit=4194304")
        connection.execute("PRAGMA foreign_keys=ON")
        # As one read: somebody may be making it at this moment.
        if not _transact(connection, _is_ours, "BEGIN"):
            _transact(connection, self._create)

    def _create(self, connection: sqlite3.Connection) -> None:
        if _is_ours(connection):  # another process was quicker
            return
        for statement in self._schema.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={_VERSION}")
        connection.execute(f"PRAGMA application_id={_APPLICATION}")

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def check_owner(found: os.stat_result) -> None:
    """Raises PermissionError for a file that others made or may write: it could hold anything,
    triggers that undo what we write among it."""
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EPERM, "it belongs to somebody else")
    # Our own group may: orchestrators give it the volumes that they mount.
    is_our_group = found.st_gid in (os.getegid(), *os.getgroups())
    if found.st_mode & (0o002 if is_our_group else 0o022):
        raise PermissionError(errno.EPERM, "others may write to it")


def _transact(connection: sqlite3.Connection, work: Work[T], begin: str = "BEGIN IMMEDIATE") -> T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return result


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers never wait for a writer, nor it for them (sqlite.org/wal.html)."""
    end = time.monotonic() + _BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            # Two that turn a new file to WAL at once: SQLite does not wait for the other here.
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the schema is there. Raises sqlite3.DatabaseError for a file that is not ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if (version, application) == (_VERSION, _APPLICATION):
        return True
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version or application or tables:
        raise sqlite3.DatabaseError("it is another program's, or of another version")
    return False
