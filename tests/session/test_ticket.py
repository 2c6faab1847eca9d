"""The session on a shelf behind a ticket: the store's promise, and what only this store does."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import AsyncIterator

import pytest

from proxy.crypto.ticket import Tickets
from proxy.errors import StoreError
from proxy.session import codec
from proxy.session.shelf import Shelf
from proxy.session.sqlite import SqliteShelf
from proxy.session.ticket import TicketStore
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.contract import (
    GRACE,
    LIFETIME,
    ForgetsDrops,
    StoreContract,
    refreshed,
    still_clock,
)
from tests.session.samples import HOUR, NOW, person, session

OLD, NEW = bytes(range(32)), bytes(range(100, 132))


def silent(words: str) -> None:
    raise AssertionError(f"nothing was to be told: {words}")


class TicketStoreContract(StoreContract, ForgetsDrops):
    """Runs on any ``shelf`` fixture."""

    @pytest.fixture
    def store(self, shelf: Shelf) -> TicketStore:
        return TicketStore(shelf, Tickets([NEW]), LIFETIME, 0, lambda words: None, GRACE)


class TestTicketStoreInAFile(TicketStoreContract):
    @pytest.fixture
    async def shelf(self, tmp_path: object) -> AsyncIterator[Shelf]:
        shelf = SqliteShelf(f"{tmp_path}/shelf", still_clock)
        yield shelf
        await shelf.close()


class TestTicketStoreInMemory(TicketStoreContract):
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


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(shelf: MemoryShelf, told: list[str]) -> TicketStore:
    return TicketStore(shelf, Tickets([NEW]), LIFETIME, 0, told.append, GRACE)


def _store(shelf: MemoryShelf, *secrets: bytes, idle: float = 0) -> TicketStore:
    return TicketStore(shelf, Tickets(secrets), LIFETIME, idle, silent, GRACE)


async def test_the_value_has_one_length_whatever_the_session(store: TicketStore) -> None:
    large = session(id="x" * 5000)
    assert len((await store.save(large, NOW)).value) == 86
    assert len((await store.save(session(), NOW)).value) == 86


async def test_forged_tickets_ask_nothing_of_the_shelf(
    store: TicketStore, shelf: MemoryShelf
) -> None:
    """Nor could anybody find out by the time it takes which handles exist."""
    kept = await store.save(session(), NOW)
    forged = (await _store(shelf, OLD).save(session(), NOW)).value
    asked = shelf.asked
    for value in (forged, kept.value[:-1], kept.value.swapcase(), "", "A" * 86):
        assert await store.load(value, NOW) is None
        assert await store.renew(dataclasses.replace(kept, value=value), session(), NOW) is None
        await store.drop(value)
    assert shelf.asked == asked


async def test_a_ticket_survives_one_rotation_of_the_secret_and_not_the_next(
    shelf: MemoryShelf,
) -> None:
    kept = await _store(shelf, OLD).save(session(), NOW)
    rotated = await _store(shelf, NEW, OLD).load(kept.value, NOW)
    assert rotated is not None
    assert rotated.session == kept.session
    assert await _store(shelf, NEW).load(kept.value, NOW) is None
    # Whoever came in between has the same ticket with a signature of the newest secret.
    assert await _store(shelf, NEW).load(rotated.value, NOW) == rotated
    store = _store(shelf, NEW, OLD)
    assert store.handle(rotated.value) == store.handle(kept.value)


async def test_a_way_outlives_a_rotation_of_the_secret(shelf: MemoryShelf) -> None:
    kept = await _store(shelf, OLD).save(session(), NOW)
    renewed = await _store(shelf, OLD).renew(kept, session(identity=person(groups=("new",))), NOW)
    loaded = await _store(shelf, NEW, OLD).load(kept.value, NOW)
    assert renewed is not None
    assert loaded is not None
    assert loaded.session == renewed.session
    assert loaded.value != renewed.value


@pytest.mark.parametrize(
    ("facts", "idle", "end"),
    [
        pytest.param({"expires_at": NOW + 10}, 0, NOW + 10, id="its own end"),
        pytest.param({"expires_at": NOW + 10, "seen_at": NOW}, 60, NOW + 10, id="end before idle"),
        pytest.param({"seen_at": NOW}, 60, NOW + 60, id="idle"),
        pytest.param({"seen_at": NOW - 50}, 60, NOW + 10, id="idle for a while already"),
        pytest.param(
            {"created_at": NOW - LIFETIME + 5}, 0, NOW + 5, id="the lifetime, made shorter since"
        ),
    ],
)
async def test_a_record_lives_as_long_as_its_session(
    shelf: MemoryShelf, clock: FakeClock, facts: dict[str, float], idle: float, end: float
) -> None:
    store = _store(shelf, NEW, idle=idle)
    kept = await store.save(session(**facts), NOW)
    assert await store.load(kept.value, end - 0.1) == kept
    assert await store.load(kept.value, end) is None  # whatever the shelf's clock says
    clock.advance(end - NOW - 0.1)
    assert len(shelf.left()) == 1
    clock.advance(0.2)
    assert shelf.left() == []


async def test_use_postpones_the_idle_end_and_never_the_absolute_one(
    shelf: MemoryShelf, clock: FakeClock
) -> None:
    store = _store(shelf, NEW, idle=600)
    kept = await store.save(session(created_at=NOW, seen_at=NOW, expires_at=NOW + HOUR), NOW)
    for _ in range(6):
        clock.advance(590)
        used = dataclasses.replace(kept.session, seen_at=clock())
        kept = await store.renew(kept, used, clock()) or pytest.fail("it was in use")
        assert await store.load(kept.value, clock()) == kept
    clock.advance(60)
    used = dataclasses.replace(kept.session, seen_at=clock())
    assert await store.renew(kept, used, clock()) is None
    assert shelf.left() == []


async def test_what_was_refreshed_keeps_its_ticket(store: TicketStore, shelf: MemoryShelf) -> None:
    kept = await store.save(session(refresh_at=NOW), NOW)
    renewed = await store.renew(kept, refreshed(kept.session), NOW)
    assert renewed is not None
    assert renewed.value == kept.value
    assert len(shelf.left()) == 1


async def test_an_old_ticket_leads_on_for_the_grace_only(
    store: TicketStore, shelf: MemoryShelf, clock: FakeClock
) -> None:
    kept = await store.save(session(), NOW)
    renewed = await store.renew(kept, session(identity=person(groups=("new",))), NOW)
    assert len(shelf.left()) == 2
    clock.advance(GRACE - 0.1)
    assert await store.load(kept.value, clock()) == renewed
    assert renewed is not None
    clock.advance(1.1)
    late = await store.load(kept.value, clock())
    assert late == dataclasses.replace(renewed, is_late=True), "to be ended: who has it is a thief"
    clock.advance(LIFETIME)
    assert shelf.left() == []


async def test_who_comes_late_reaches_the_end_of_the_way_however_long(
    store: TicketStore, shelf: MemoryShelf, clock: FakeClock
) -> None:
    """Past eight changes of identity, an old ticket told on nobody any more."""
    first = kept = await store.save(session(), NOW)
    for change in range(100):
        newer = dataclasses.replace(kept.session, identity=person(groups=(f"{change}",)))
        kept = await store.renew(kept, newer, clock()) or pytest.fail("it has not ended")
    clock.advance(GRACE + 1)
    late = await store.load(first.value, clock())
    assert late == dataclasses.replace(kept, is_late=True)


async def test_what_moved_on_is_not_written_at_its_old_place(
    store: TicketStore, shelf: MemoryShelf
) -> None:
    kept = await store.save(session(), NOW)
    renewed = await store.renew(kept, session(identity=person(groups=("new",))), NOW)
    used = dataclasses.replace(kept.session, seen_at=NOW)
    assert await store.renew(kept, used, NOW) == renewed
    assert await store.load(kept.value, NOW) == renewed
    assert len(shelf.left()) == 2


async def test_two_that_move_it_at_once_end_up_in_one_place(
    store: TicketStore, shelf: MemoryShelf
) -> None:
    kept = await store.save(session(), NOW)
    first = await store.renew(kept, session(identity=person(groups=("first",))), NOW)
    second = await store.renew(kept, session(identity=person(groups=("second",))), NOW)
    assert second == first
    assert len(shelf.left()) == 2


RECORDS = [
    pytest.param(b"", id="empty"),
    pytest.param(b"garbage", id="short garbage"),
    pytest.param(b"\x01" + b"\xff" * 200, id="a broken seal"),
    pytest.param(b"\x02" + bytes(200), id="a version that is unknown"),
    pytest.param(b"*1\r\n$4\r\nPING\r\n" * 10, id="somebody else's"),
]


@pytest.mark.parametrize("record", RECORDS)
async def test_garbage_is_no_session_and_one_warning(
    store: TicketStore, shelf: MemoryShelf, told: list[str], record: bytes
) -> None:
    kept = await store.save(session(), NOW)
    [key] = shelf.left()
    await shelf.put(key, record, NOW + HOUR)
    assert await store.load(kept.value, NOW) is None
    assert told == ["a session record cannot be read, and counts as no session"]
    assert await store.renew(kept, session(seen_at=NOW), NOW) is None
    assert len(told) == 2
    await store.drop(kept.value)
    assert shelf.left() == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"s", id="no session"),
        pytest.param(b"sgarbage", id="a session that is none"),
        pytest.param(b"p", id="no ticket"),
        pytest.param(b"p1800000000", id="no ticket, but a time"),
        pytest.param(b"p1800000000 " + b"A" * 86, id="a ticket that is not ours"),
        pytest.param(b"p1800000000 \xff", id="a ticket that is no text, and a time"),
        pytest.param(b"p\xff", id="a ticket that is no text"),
        pytest.param(b"x" + codec.dump(session()), id="another kind"),
        pytest.param(codec.dump(session()), id="no kind"),
    ],
)
async def test_a_good_seal_with_something_else_inside_is_no_session(
    store: TicketStore, shelf: MemoryShelf, told: list[str], content: bytes
) -> None:
    kept = await store.save(session(), NOW)
    ticket = Tickets([NEW]).read(kept.value)
    assert ticket is not None
    [key] = shelf.left()
    await shelf.put(key, ticket.seal(content), NOW + HOUR)
    assert await store.load(kept.value, NOW) is None
    assert len(told) == 1


async def test_a_circle_of_pointers_ends(store: TicketStore, shelf: MemoryShelf) -> None:
    kept = await store.save(session(), NOW)
    ticket = Tickets([NEW]).read(kept.value)
    assert ticket is not None
    [key] = shelf.left()
    circle = ticket.seal(f"p{NOW:.0f} {kept.value}".encode())
    await shelf.put(key, circle, NOW + HOUR)
    assert await store.load(kept.value, NOW) is None
    assert await store.renew(kept, session(seen_at=NOW), NOW) is None
    await store.drop(kept.value)
    assert shelf.left() == []


async def test_a_shelf_that_cannot_answer_is_no_end(store: TicketStore, shelf: MemoryShelf) -> None:
    kept = await store.save(session(), NOW)
    shelf.down = True
    used = dataclasses.replace(kept.session, seen_at=NOW)
    for call in (
        store.load(kept.value, NOW),
        store.save(session(), NOW),
        store.renew(kept, used, NOW),
        store.drop(kept.value),
        store.discard(store.handle(kept.value)),
        store.ready(),
    ):
        with pytest.raises(StoreError):
            await call
    shelf.down = False
    assert await store.load(kept.value, NOW) == kept


@pytest.mark.parametrize("calls", range(4))
async def test_a_shelf_that_goes_during_a_move_loses_nothing(
    store: TicketStore, shelf: MemoryShelf, calls: int
) -> None:
    kept = await store.save(session(), NOW)
    shelf.calls_left = calls
    try:
        renewed = await store.renew(kept, session(identity=person(groups=("new",))), NOW)
    except StoreError:
        renewed = None
    shelf.down = False
    assert await store.load(kept.value, NOW) == (renewed or kept)


async def test_the_handle_is_a_hash(store: TicketStore, shelf: MemoryShelf) -> None:
    kept = await store.save(session(), NOW)
    handle = store.handle(kept.value)
    assert shelf.left() == [f"session:{handle}"]
    assert len(handle) == len(hashlib.sha256().hexdigest())
    assert kept.value.encode()[:43] not in shelf.dump()
    assert await store.load(handle, NOW) is None
