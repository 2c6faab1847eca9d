"""One SQLite database: whatever goes wrong is a StoreError in time, and heals with the file."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest

from proxy.errors import Reason, StoreError
from proxy.session.database import MEMORY, Database, check_owner
from tests.session.shelf_contract import until

SCHEMA = "CREATE TABLE facts (fact TEXT);\nCREATE INDEX by_fact ON facts (fact)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "shelf.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    path.parent.mkdir()
    database = Database(str(path), SCHEMA)
    yield database
    await database.close()


async def _tell(database: Database, fact: str) -> None:
    await database.write(lambda file: file.execute("INSERT INTO facts VALUES (?)", (fact,)))


async def _ask(database: Database) -> list[str]:
    found = await database.read(lambda file: file.execute("SELECT fact FROM facts").fetchall())
    return [fact for (fact,) in found]


async def _refused(database: Database, within: float = 1.0) -> str:
    begun = time.monotonic()
    with pytest.raises(StoreError) as caught:
        await _tell(database, "refused")
    assert time.monotonic() - begun < within
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert caught.value.status == 503
    return caught.value.detail


@contextmanager
def _locked(path: Path, how: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Another process keeps it to itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(how)
        yield


async def test_what_was_written_is_read(database: Database) -> None:
    await _tell(database, "a")
    assert await _ask(database) == ["a"]


async def test_it_outlives_who_wrote_it(database: Database, path: Path) -> None:
    await _tell(database, "a")
    await database.close()
    again = Database(str(path), SCHEMA)
    assert await _ask(again) == ["a"]
    await again.close()


async def test_memory_is_nobody_elses(path: Path) -> None:
    first, second = Database(MEMORY, SCHEMA), Database(MEMORY, SCHEMA)
    await _tell(first, "a")
    assert (await _ask(first), await _ask(second)) == (["a"], [])
    await first.close()
    await second.close()


async def test_only_its_owner_may_read_the_files(database: Database, path: Path) -> None:
    before = os.umask(0)
    try:
        await _tell(database, "a")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"shelf.db": 0o600, "shelf.db-wal": 0o600, "shelf.db-shm": 0o600}


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o777])
@pytest.mark.parametrize("through", ["its path", "a link"])
async def test_a_file_that_others_may_write_is_refused_until_they_may_not(
    database: Database, path: Path, mode: int, through: str
) -> None:
    """Made before us, it had triggers that took away each ending that was kept."""
    made = path if through == "its path" else path.with_name("elsewhere.db")
    with closing(sqlite3.connect(made)) as theirs:
        theirs.execute("PRAGMA journal_mode=DELETE")
    made.touch()
    made.chmod(mode)
    if made != path:
        path.symlink_to(made)
    before = made.read_bytes()
    assert "others may write to it" in await _refused(database)
    assert made.read_bytes() == before, "not even opened"
    made.chmod(0o600)
    await _tell(database, "a")
    assert await _ask(database) == ["a"]


@pytest.mark.parametrize(
    ("owner", "group", "mode", "words"),
    [
        pytest.param(1000, 1000, 0o600, "", id="ours"),
        pytest.param(1000, 1000, 0o644, "", id="ours, for all to read"),
        pytest.param(1000, 1000, 0o660, "", id="ours, on a volume of our group"),
        pytest.param(1000, 1002, 0o660, "", id="ours, of another group that we are in"),
        pytest.param(0, 1000, 0o600, "", id="root's"),
        pytest.param(1001, 1000, 0o600, "somebody else", id="another's"),
        pytest.param(1001, 1000, 0o666, "somebody else", id="another's, for all"),
        pytest.param(1000, 7, 0o620, "others may write", id="ours, and a strange group's"),
        pytest.param(1000, 1000, 0o602, "others may write", id="ours, and everybody's to write"),
        pytest.param(0, 1000, 0o666, "others may write", id="root's, and everybody's to write"),
    ],
)
def test_whose_file_it_may_be(
    owner: int, group: int, mode: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, mine in (("geteuid", 1000), ("getegid", 1000), ("getgroups", [1002])):
        monkeypatch.setattr(f"os.{name}", lambda mine=mine: mine)
    found = os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, group, 0, 0, 0, 0))
    with pytest.raises(PermissionError, match=words) if words else nullcontext():
        check_owner(found)


async def test_many_that_open_a_new_file_at_once_all_succeed(path: Path) -> None:
    path.parent.mkdir()
    crowd = [Database(str(path), SCHEMA) for _ in range(8)]
    await asyncio.gather(*(_tell(each, str(number)) for number, each in enumerate(crowd)))
    assert sorted(await _ask(crowd[0])) == [str(number) for number in range(8)]
    for each in crowd:
        await each.close()


async def test_a_file_that_another_makes_while_we_look_is_ours(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what marks it was read before, half after: "it is another program's"."""
    connect = sqlite3.connect

    class Slow(sqlite3.Connection):
        def execute(self, statement: str, *given: object) -> sqlite3.Cursor:
            if statement == "PRAGMA application_id" and not made:
                made.append(statement)
                with closing(connect(path, isolation_level=None)) as other:
                    database._create(other)
            return super().execute(statement, *given)  # type: ignore[arg-type]

    made: list[str] = []
    monkeypatch.setattr("sqlite3.connect", partial(connect, factory=Slow))
    await _tell(database, "a")
    assert made
    assert await _ask(database) == ["a"]


async def test_work_that_fails_leaves_no_half(database: Database) -> None:
    def fail(file: sqlite3.Connection) -> None:
        file.execute("INSERT INTO facts VALUES ('half')")
        file.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreError):
        await database.write(fail)
    await _tell(database, "whole")
    assert await _ask(database) == ["whole"]


async def test_a_locked_file_is_an_error_in_time_and_heals(database: Database, path: Path) -> None:
    await _tell(database, "before")
    with _locked(path):
        assert "locked" in await _refused(database)
        assert await _ask(database) == ["before"]  # readers never wait for a writer
    await _tell(database, "after")
    assert await _ask(database) == ["before", "after"]


async def test_nobody_waits_for_the_sum_of_all_who_wait(database: Database, path: Path) -> None:
    await _tell(database, "before")
    begun = time.monotonic()
    with _locked(path):
        done = await asyncio.gather(
            *(_tell(database, str(number)) for number in range(100)), return_exceptions=True
        )
    assert {type(each) for each in done} == {StoreError}
    assert time.monotonic() - begun < 1.8
    assert await _ask(database) == ["before"]


async def test_the_loop_goes_on_while_the_disk_does_not(database: Database, path: Path) -> None:
    await _tell(database, "before")
    with _locked(path):
        task = asyncio.create_task(_refused(database, 2))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
    assert turns > 10
    await task


async def test_a_missing_folder_is_an_error_until_it_is_there(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "missing" / "file"), SCHEMA)
    await _refused(database)
    (tmp_path / "missing").mkdir()
    await _tell(database, "a")
    assert await _ask(database) == ["a"]
    await database.close()


async def test_a_file_that_was_removed_is_not_written_on(database: Database, path: Path) -> None:
    """Else this process and those that start later would share nothing."""
    await _tell(database, "a")
    shutil.rmtree(path.parent)
    await _refused(database)
    path.parent.mkdir()
    await _tell(database, "b")
    other = Database(str(path), SCHEMA)
    assert await _ask(other) == ["b"]
    await other.close()


async def test_a_file_that_was_replaced_is_opened_anew(database: Database, path: Path) -> None:
    await _tell(database, "a")
    other = Database(str(path.with_name("other")), SCHEMA)
    await _tell(other, "other")
    await other.close()
    path.with_name("other").replace(path)
    for rest in ("shelf.db-wal", "shelf.db-shm"):
        path.with_name(rest).unlink(missing_ok=True)
    assert await _ask(database) == ["other"]


async def test_a_file_of_garbage_is_an_error_until_it_is_gone(
    database: Database, path: Path
) -> None:
    path.write_bytes(b"garbage" * 1000)
    assert "not a database" in await _refused(database)
    assert path.read_bytes() == b"garbage" * 1000
    path.unlink()
    await _tell(database, "a")
    assert await _ask(database) == ["a"]


async def test_a_file_that_breaks_is_an_error_until_it_is_gone(
    database: Database, path: Path
) -> None:
    for number in range(200):
        await _tell(database, f"{number}" * 100)
    await database.read(lambda file: file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (path.stat().st_size - 100))
    other = Database(str(path), SCHEMA)  # what the first one has read, it knows
    with pytest.raises(StoreError):
        await _ask(other)
    for file_left in path.parent.iterdir():
        file_left.unlink()
    for each in (other, database):
        await _tell(each, "a")
    assert await _ask(database) == await _ask(other) == ["a", "a"]
    await other.close()


async def test_a_full_disk_is_an_error_until_there_is_room(database: Database, path: Path) -> None:
    await _tell(database, "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, limits[1]))
    try:
        with pytest.raises(StoreError):
            await _tell(database, "x" * 1_000_000)
        assert await _ask(database) == ["before"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await _tell(database, "x" * 1_000_000)
    assert [len(fact) for fact in await _ask(database)] == [6, 1_000_000]


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("CREATE TABLE theirs (a)", id="another program's tables"),
        pytest.param("PRAGMA application_id=7", id="another program's mark"),
        pytest.param("PRAGMA user_version=2", id="another version of ours"),
    ],
)
async def test_somebody_elses_database_is_left_alone(
    database: Database, path: Path, statement: str
) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute(statement)
    assert "another" in await _refused(database)
    with closing(sqlite3.connect(path)) as theirs:
        found = theirs.execute("SELECT name FROM sqlite_schema").fetchall()
    assert ("facts",) not in found


async def test_answers_never_cross(database: Database) -> None:
    """A cancelled command handed one person another's session (redis CVE-2023-28858)."""
    dice = random.Random(4)

    async def ask(number: int) -> None:
        answer = await database.read(lambda file: file.execute("SELECT ?", (number,)).fetchone())
        assert answer == (number,)

    tasks = [asyncio.create_task(ask(number)) for number in range(1000)]
    while not all(task.done() for task in tasks):
        dice.choice(tasks).cancel()
        await asyncio.sleep(0)
    assert {type(task.exception()) for task in tasks if not task.cancelled()} == {type(None)}


async def test_closing_ends_thread_and_files(database: Database, path: Path) -> None:
    before = set(threading.enumerate())
    await _tell(database, "a")
    [thread] = set(threading.enumerate()) - before
    await database.close()
    await database.close()
    await until(lambda: not thread.is_alive())
    assert [each.name for each in path.parent.iterdir()] == ["shelf.db"]
    await _refused(database)


async def test_what_was_never_opened_can_be_closed(path: Path) -> None:
    await Database(str(path), SCHEMA).close()
    assert not path.exists()
