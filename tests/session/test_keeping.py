"""Keeping: what the settings say is what is opened, and all of it works together."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.config.providers import installation
from proxy.config.settings import Settings
from proxy.crypto.seal import Sealer
from proxy.crypto.token import make
from proxy.errors import ConfigError
from proxy.session.cookie import CookieStore
from proxy.session.endings import Ending
from proxy.session.keeping import Keeping, open_keeping
from proxy.session.redis import RedisShelf
from proxy.session.sqlite import SqliteShelf
from proxy.session.ticket import TicketStore
from proxy.session.tokens import Token
from tests.config.configurations import MINIMAL, load_text
from tests.fakes.clock import FakeClock
from tests.fakes.redis_servers import single
from tests.session.samples import HOUR, ISSUER, NOW, person, session
from tests.session.shelf_contract import listening, until

OLD, NEW = b"o" * 32, b"n" * 32
WHOSE = "https://idp.example.org/ playground"


def configured(more: str = "") -> Settings:
    return load_text(MINIMAL + more)


@asynccontextmanager
async def opened(
    more: str = "",
    path: str = "",
    secrets: tuple[bytes, ...] = (NEW,),
    settings: Settings | None = None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Keeping]:
    said: list[str] = []
    settings = settings or configured(more)
    keeping = open_keeping(
        settings,
        installation(settings),
        secrets,
        clock or FakeClock(NOW),
        os.urandom,
        said.append,
        path,
    )
    try:
        yield keeping
    finally:
        await keeping.shelf.close()
    assert said == []


async def live_through(keeping: Keeping, now: float = NOW) -> None:
    """A session begins, is seen, and ends."""
    begun = session(created_at=now, seen_at=now, expires_at=now + HOUR)
    kept = await keeping.store.save(begun, now)
    assert await keeping.register.begin(begun, kept.value, "a browser", "192.0.2.7", now)
    assert await keeping.store.load(kept.value, now) == kept
    assert await keeping.register.seen(begun, kept.value, now)
    [card] = await keeping.register.of_person(ISSUER, "704e", now)
    assert (card.browser, card.address) == ("a browser", "192.0.2.7")
    async with keeping.locks.hold("refresh"):
        assert await keeping.register.end_person(ISSUER, "704e", now) == 1
    assert await keeping.endings.is_over(begun, now)
    assert [key async for key in keeping.shelf.keys("lock:")] == []


FILE = "session: {file: kept.db}\n"
TICKETS = "session: {store: file, file: kept.db}\n"
REDIS = "redis: {url: 'redis://127.0.0.1:1/0'}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("more", "path", "shelf", "store", "files"),
    [
        pytest.param("", "", SqliteShelf, CookieStore, set(), id="nothing: memory"),
        pytest.param("", "own.db", SqliteShelf, CookieStore, {"own.db"}, id="the processes' own"),
        pytest.param(FILE, "own.db", SqliteShelf, CookieStore, {"kept.db"}, id="session.file"),
        pytest.param(TICKETS, "", SqliteShelf, TicketStore, {"kept.db"}, id="tickets in a file"),
    ],
)
async def test_where_sessions_are_kept(
    folder: Path, more: str, path: str, shelf: type, store: type, files: set[str]
) -> None:
    async with opened(more, path) as keeping:
        assert isinstance(keeping.shelf, shelf)
        assert isinstance(keeping.store, store)
        await live_through(keeping)
        assert {p.name for p in folder.iterdir() if not p.name.endswith(("-wal", "-shm"))} == files


@pytest.mark.parametrize(
    ("more", "store", "trust"),
    [
        (REDIS, CookieStore, 1.0),
        (REDIS + "session: {store: redis, cache: 0}\n", TicketStore, 0.0),
    ],
)
async def test_redis_is_not_asked_before_it_is_needed(
    folder: Path, more: str, store: type, trust: float
) -> None:
    async with opened(more, "own.db") as keeping:
        assert isinstance(keeping.shelf, RedisShelf)
        assert keeping.shelf.trust <= trust
        assert isinstance(keeping.store, store)
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["cookie", "redis"])
async def test_all_of_it_in_redis(folder: Path, kind: str) -> None:
    with single(folder) as server:
        more = f"session: {{store: {kind}}}\nredis: {{url: '{server.url}'}}\n"
        async with opened(more, clock=time.time) as keeping:
            await live_through(keeping, time.time())
            left = {key.partition(":")[0] async for key in keeping.shelf.keys("")}
            assert left == {"ended"}


async def test_options_of_redis_that_cannot_be_used() -> None:
    base = configured()
    wrong = base.redis.model_copy(
        update={"url": configured(REDIS).redis.url, "cluster": True, "sentinel_master": "m"}
    )
    with pytest.raises(ConfigError, match="sentinel_master"):
        async with opened(settings=base.model_copy(update={"redis": wrong})):
            pass


async def test_cookies_of_former_versions_still_open() -> None:
    async with opened() as keeping:
        kept = await keeping.store.save(session(), NOW)
        assert Sealer([NEW], f"session {WHOSE}").open(kept.value, NOW, HOUR) is not None


@pytest.mark.parametrize("more", [FILE, TICKETS])
async def test_another_client_with_the_same_secret_and_file_sees_nothing(more: str) -> None:
    text = (MINIMAL + more).replace("client_id: playground", "client_id: other")
    async with opened(more) as mine, opened(settings=load_text(text)) as other:
        kept = await mine.store.save(session(), NOW)
        await mine.register.begin(session(), kept.value, "", "", NOW)
        assert await other.store.load(kept.value, NOW) is None
        assert await other.register.of_person(ISSUER, "704e", NOW) == []
        assert [card async for card in other.register.everybody(NOW)] == []
        assert await other.register.end_person(ISSUER, "704e", NOW) == 0
        assert not await mine.endings.is_over(session(), NOW)
        assert len(await mine.register.of_person(ISSUER, "704e", NOW)) == 1


@pytest.mark.parametrize("more", [FILE, TICKETS])
async def test_processes_share_a_file_and_hear_of_one_another(more: str) -> None:
    async with opened(more) as one, opened(more) as other, listening(other.shelf) as heard:
        kept = await one.store.save(session(), NOW)
        await one.register.begin(session(), kept.value, "", "", NOW)
        assert await other.store.load(kept.value, NOW) == kept
        assert await other.register.end_person(ISSUER, "704e", NOW) == 1
        await until(lambda: len(heard) == 1, 1.0)
        assert heard[0] is not None
        ending = Ending.read(heard[0])
        assert ending is not None
        assert one.endings.covers(ending, session())
        assert await one.endings.is_over(session(), NOW)


@pytest.mark.parametrize("more", [FILE, TICKETS])
async def test_keys_rotate_and_nobody_is_signed_out(more: str) -> None:
    async with opened(more, secrets=(OLD,)) as before:
        kept = await before.store.save(session(), NOW)
        await before.register.begin(session(), kept.value, "", "", NOW)
        await before.register.end_person(ISSUER, "9", NOW)
    async with opened(more, secrets=(NEW, OLD)) as after:
        assert await after.store.load(kept.value, NOW) is not None
        assert await after.endings.is_over(session(identity=person(subject="9")), NOW)
        assert await after.register.end_person(ISSUER, "704e", NOW) == 1


async def test_of_too_many_sessions_the_oldest_ends() -> None:
    async with opened("session: {max_per_person: 1}\n") as keeping:
        for at, name in enumerate("ab"):
            begun = session(id=name * 43, created_at=NOW + at)
            kept = await keeping.store.save(begun, NOW + at)
            await keeping.register.begin(begun, kept.value, "", "", NOW + at)
        [card] = await keeping.register.of_person(ISSUER, "704e", NOW + 1)
        assert card.session_id == "b" * 43


async def test_a_session_that_nobody_uses_leaves_the_lists() -> None:
    async with opened("session: {idle_timeout: 10m}\n") as keeping:
        begun = session(created_at=NOW, seen_at=NOW)
        kept = await keeping.store.save(begun, NOW)
        await keeping.register.begin(begun, kept.value, "", "", NOW)
        assert len(await keeping.register.of_person(ISSUER, "704e", NOW + 599)) == 1
        assert await keeping.register.of_person(ISSUER, "704e", NOW + 600) == []


async def test_one_lock_among_all_who_share_a_file() -> None:
    held = []

    async def hold(keeping: Keeping, name: str) -> None:
        async with keeping.locks.hold("refresh"):
            held.append(name)
            await asyncio.sleep(0)
            held.append(name)

    async with opened(FILE) as one, opened(FILE) as other:
        await asyncio.gather(hold(one, "a"), hold(other, "b"), hold(one, "c"))
    assert held[::2] == held[1::2]


def a_token(**facts: Any) -> Token:
    known: dict[str, Any] = {"kind": "personal", "name": "n", "issuer": ISSUER, "subject": "704e"}
    return Token(**(known | {"created_at": NOW, "expires_at": NOW + HOUR} | facts))


@pytest.mark.parametrize("more", [pytest.param("", id="memory"), pytest.param(FILE, id="file")])
async def test_tokens_and_people_are_kept_and_sealed_for_their_purpose(
    more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(more) as keeping:
        text = make("apx", "p", os.urandom)
        made = await keeping.tokens.create(text, a_token(), NOW)
        assert await keeping.tokens.find(text, NOW) == made
        await keeping.people.remember(person(), NOW, NOW + HOUR)
        assert await keeping.people.known(ISSUER, "704e", NOW) == (person(), NOW)


async def test_two_proxies_on_one_file_share_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    now = time.time()
    living = {"created_at": now, "expires_at": now + HOUR}
    async with (
        opened(FILE, clock=time.time) as one,
        opened(FILE, clock=time.time) as two,
        listening(two.shelf) as heard,
    ):
        text = make("apx", "p", os.urandom)
        made = await one.tokens.create(text, a_token(**living), now)
        assert await two.tokens.find(text, now) == made
        await one.revoke(made, now)
        assert await two.tokens.find(text, now) is None
        await until(lambda: any(_ended(message) == made.session_id for message in heard))


def _ended(message: bytes | None) -> str:
    ending = Ending.read(message) if message else None
    return ending.key if ending else ""


async def test_a_family_ends_together_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as keeping:

        async def create(**facts: Any) -> Token:
            text = make("apx", "t", os.urandom)
            return await keeping.tokens.create(text, a_token(**facts), NOW)

        family = {"kind": "terminal", "family": "f"}
        mine = await create(**family)
        refresh = await create(**(family | {"kind": "refresh"}))
        others = [
            await create(),
            await create(kind="terminal", family="g"),
            await create(**family, subject="somebody"),
        ]
        await keeping.revoke(mine, NOW)
        for gone in (mine, refresh):
            assert await keeping.tokens.get(gone.id, NOW) is None
            over = session(id=gone.session_id, created_at=float("inf"))
            assert await keeping.endings.is_over(over, NOW)
        for other in others:
            assert await keeping.tokens.get(other.id, NOW) == other
            await keeping.revoke(other, NOW)
        kept = [key async for key in keeping.shelf.keys("")]
        # what remains is that they ended, by their public names
        assert sorted(kept) == sorted(
            f"ended:session:token:{each.id}" for each in (mine, refresh, *others)
        )
