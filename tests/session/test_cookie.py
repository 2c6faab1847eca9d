"""The session in the browser's cookie: the store's promise, and what only this store does."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import AsyncIterator

import pytest

from proxy.crypto.seal import Sealer
from proxy.errors import StoreError
from proxy.session.cookie import CookieStore
from proxy.session.shelf import Shelf
from proxy.session.sqlite import SqliteShelf
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.contract import (
    GRACE,
    LIFETIME,
    StoreContract,
    found,
    member,
    refreshed,
    still_clock,
)
from tests.session.samples import HOUR, NOW, session

OLD, NEW = bytes(range(32)), bytes(range(100, 132))


class CookieStoreContract(StoreContract):
    """Runs on any ``shelf`` fixture."""

    @pytest.fixture
    def store(self, shelf: Shelf) -> CookieStore:
        return CookieStore(Sealer([NEW], "session"), LIFETIME, shelf, GRACE)

    async def test_a_way_without_end_is_not_followed(self, store: CookieStore) -> None:
        """Each request must end, whatever lies there."""
        first = kept = await store.save(session(identity=member("0"), refresh_at=NOW - 100), NOW)
        for hop in range(1, 40):
            newer = refreshed(kept.session, NOW - 100 + hop, identity=member(str(hop)))
            kept = await store.renew(kept, newer, NOW) or pytest.fail("it has not ended")
        way = await found(store, first.value)
        assert way is not None
        assert int(way.identity.groups[0]) < 10
        assert await found(store, kept.value) == kept.session


class TestCookieStoreOnSqlite(CookieStoreContract):
    @pytest.fixture
    async def shelf(self) -> AsyncIterator[Shelf]:
        shelf = SqliteShelf(":memory:", still_clock)
        yield shelf
        await shelf.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def shelf(clock: FakeClock) -> MemoryShelf:
    return MemoryShelf(clock)


def _store(
    shelf: MemoryShelf,
    *secrets: bytes,
    purpose: str = "session",
    lifetime: float = LIFETIME,
    grace: float = GRACE,
) -> CookieStore:
    return CookieStore(Sealer(secrets, purpose), lifetime, shelf, grace)


async def test_a_replica_with_the_same_secret_loads_it(shelf: MemoryShelf) -> None:
    kept = await _store(shelf, NEW).save(session(), NOW)
    assert await _store(shelf, NEW).load(kept.value, NOW) == kept


async def test_a_session_survives_one_rotation_of_the_secret_and_not_the_next(
    shelf: MemoryShelf,
) -> None:
    kept = await _store(shelf, OLD).save(session(), NOW)
    assert await _store(shelf, NEW, OLD).load(kept.value, NOW) == kept
    assert await _store(shelf, NEW).load(kept.value, NOW) is None


async def test_a_renewal_seals_with_the_newest_secret(shelf: MemoryShelf) -> None:
    kept = await _store(shelf, OLD).save(session(), NOW)
    renewed = await _store(shelf, NEW, OLD).renew(kept, session(seen_at=NOW), NOW)
    assert renewed is not None
    assert await _store(shelf, NEW).load(renewed.value, NOW) == renewed


async def test_pointers_outlive_a_rotation_of_the_secret(shelf: MemoryShelf) -> None:
    kept = await _store(shelf, OLD).save(session(refresh_at=NOW), NOW)
    renewed = await _store(shelf, OLD).renew(kept, refreshed(kept.session), NOW)
    assert await _store(shelf, NEW, OLD).load(kept.value, NOW) == renewed


async def test_a_sealed_sign_in_attempt_is_no_session(shelf: MemoryShelf) -> None:
    """One keyspace for both let an attempt pass as a session (LemonLDAP CVE-2026-19349)."""
    kept = await _store(shelf, NEW, purpose="login-attempt").save(session(), NOW)
    assert await _store(shelf, NEW).load(kept.value, NOW) is None


async def test_no_box_outlives_the_lifetime_whatever_it_says_inside(shelf: MemoryShelf) -> None:
    store = _store(shelf, NEW)
    value = (await store.save(session(expires_at=NOW + 100 * HOUR), NOW)).value
    assert await store.load(value, NOW + LIFETIME) is not None
    assert await store.load(value, NOW + LIFETIME + 1) is None


async def test_a_shorter_lifetime_ends_what_was_sealed_before(shelf: MemoryShelf) -> None:
    value = (await _store(shelf, NEW).save(session(), NOW)).value
    assert await _store(shelf, NEW, lifetime=60).load(value, NOW + 61) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not compressed", id="not compressed"),
        pytest.param(zlib.compress(b"{}"), id="another document"),
        pytest.param(zlib.compress(b"a" * 10_000_000), id="bomb"),
    ],
)
async def test_a_good_box_with_something_else_inside_is_no_session(
    shelf: MemoryShelf, content: bytes
) -> None:
    value = Sealer([NEW], "session").seal(content, NOW)
    assert await _store(shelf, NEW).load(value, NOW) is None


async def test_only_a_refresh_leaves_anything_on_the_shelf(
    shelf: MemoryShelf, clock: FakeClock
) -> None:
    store = _store(shelf, NEW)
    kept = await store.save(session(refresh_at=NOW), NOW)
    used = await store.renew(kept, dataclasses.replace(kept.session, seen_at=NOW), NOW)
    assert shelf.left() == []
    assert used is not None
    await store.renew(used, refreshed(kept.session), NOW)
    assert [key.partition(":")[0] for key in shelf.left()] == ["next"]
    clock.advance(GRACE)
    assert shelf.left() == []


async def test_old_values_of_a_session_all_lead_to_what_follows(shelf: MemoryShelf) -> None:
    """A pointer belongs to the session between two refreshes, not to one of its values."""
    store = _store(shelf, NEW)
    kept = await store.save(session(refresh_at=NOW), NOW)
    used = await store.renew(kept, dataclasses.replace(kept.session, seen_at=NOW), NOW)
    assert used is not None
    renewed = await store.renew(used, refreshed(used.session), NOW)
    assert await store.load(kept.value, NOW) == renewed
    assert await store.load(used.value, NOW) == renewed


async def test_an_old_value_leads_on_for_the_grace_only(
    shelf: MemoryShelf, clock: FakeClock
) -> None:
    store = _store(shelf, NEW, grace=30)
    kept = await store.save(session(refresh_at=NOW), NOW)
    renewed = await store.renew(kept, refreshed(kept.session, NOW + 1000), NOW)
    clock.advance(29.9)
    assert await store.load(kept.value, clock()) == renewed
    clock.advance(0.2)
    assert await store.load(kept.value, clock()) == kept


async def test_the_shelf_is_asked_only_where_a_refresh_is_due(
    shelf: MemoryShelf, clock: FakeClock
) -> None:
    store = _store(shelf, NEW)
    kept = await store.save(session(refresh_at=NOW + 10), NOW)
    never = await store.save(session(refresh_at=None), NOW)
    shelf.down = True
    assert await store.load(kept.value, NOW) == kept
    assert await store.load(never.value, NOW + HOUR / 2) == never
    with pytest.raises(StoreError):
        await store.load(kept.value, NOW + 10)


async def test_a_refresh_that_nobody_could_learn_of_is_an_error(shelf: MemoryShelf) -> None:
    store = _store(shelf, NEW)
    kept = await store.save(session(refresh_at=NOW), NOW)
    shelf.down = True
    with pytest.raises(StoreError):
        await store.renew(kept, refreshed(kept.session), NOW)


async def test_garbage_on_the_way_is_no_way(shelf: MemoryShelf) -> None:
    store = _store(shelf, NEW)
    kept = await store.save(session(refresh_at=NOW), NOW)
    await store.renew(kept, refreshed(kept.session), NOW)
    [key] = shelf.left()
    other = await store.save(session(id="somebody else's"), NOW)
    for garbage in (b"", b"\xff", other.value.encode(), Sealer([NEW], "session").seal(b"", NOW)):
        value = garbage if isinstance(garbage, bytes) else garbage.encode()
        await shelf.put(key, value, NOW + HOUR)
        assert await found(store, kept.value) == kept.session


async def test_a_drop_is_the_cookies_and_is_not_remembered(shelf: MemoryShelf) -> None:
    store = _store(shelf, NEW)
    kept = await store.save(session(), NOW)
    assert not store.forgets
    assert store.handle(kept.value) == ""
    await store.drop(kept.value)
    assert await store.load(kept.value, NOW) == kept


async def test_it_is_ready_when_its_shelf_is(shelf: MemoryShelf) -> None:
    store = _store(shelf, NEW)
    await store.ready()
    shelf.down = True
    with pytest.raises(StoreError):
        await store.ready()
