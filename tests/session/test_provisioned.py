"""Who has been provisioned is remembered by all replicas, and by nobody else."""

from __future__ import annotations

import pytest

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.errors import StoreError
from proxy.session.provisioned import Provisioned
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import HOUR, ISSUER

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLACE = "http://app:8000/provision"
JEAN = (PLACE, ISSUER, "704e")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shelf(clock: FakeClock) -> MemoryShelf:
    return MemoryShelf(clock)


def provisioned(shelf: MemoryShelf, *secrets: bytes) -> Provisioned:
    keys = secrets or (OLD,)
    return Provisioned(shelf, Sealer(keys, "provisioned"), Pseudonyms(keys))


@pytest.mark.parametrize("user", ["", "42", "é ü"])
async def test_a_person_is_remembered_until_then(
    shelf: MemoryShelf, clock: FakeClock, user: str
) -> None:
    book = provisioned(shelf)
    assert await book.known(*JEAN, clock()) is None
    await book.remember(*JEAN, user, clock(), clock() + HOUR)
    assert await provisioned(shelf).known(*JEAN, clock()) == user
    clock.advance(HOUR)
    assert await book.known(*JEAN, clock()) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("http://other:8000", ISSUER, "704e"), id="elsewhere"),
        pytest.param((PLACE, "https://else.example", "704e"), id="another issuer's"),
        pytest.param((PLACE, ISSUER, "704f"), id="another person"),
        pytest.param((PLACE, ISSUER + "7", "04e"), id="the same letters"),
    ],
)
async def test_nobody_else_is(
    shelf: MemoryShelf, clock: FakeClock, other: tuple[str, str, str]
) -> None:
    book = provisioned(shelf)
    await book.remember(*JEAN, "42", clock(), clock() + HOUR)
    assert await book.known(*other, clock()) is None
    assert book.lock(*other) != book.lock(*JEAN)


async def test_a_new_secret_knows_what_the_old_one_kept(
    shelf: MemoryShelf, clock: FakeClock
) -> None:
    await provisioned(shelf, OLD).remember(*JEAN, "42", clock(), clock() + HOUR)
    assert await provisioned(shelf, NEW, OLD).known(*JEAN, clock()) == "42"
    assert await provisioned(shelf, NEW).known(*JEAN, clock()) is None


async def test_a_thief_learns_nothing(shelf: MemoryShelf, clock: FakeClock) -> None:
    await provisioned(shelf).remember(*JEAN, "user-42", clock(), clock() + HOUR)
    stolen = shelf.dump()
    for text in (*JEAN, "user-42"):
        assert text.encode() not in stolen


async def test_what_lies_under_another_name_is_nothing(
    shelf: MemoryShelf, clock: FakeClock
) -> None:
    book = provisioned(shelf)
    await book.remember(*JEAN, "42", clock(), clock() + HOUR)
    [key] = shelf.left()
    [box] = await shelf.get(key)
    assert box is not None
    other = (PLACE, ISSUER, "mallory")
    await shelf.put(book.lock(*other), box, clock() + HOUR)
    assert await book.known(*other, clock()) is None
    for junk in (b"", b"junk", b"\xff", box[:-1]):
        await shelf.put(key, junk, clock() + HOUR)
        assert await book.known(*JEAN, clock()) is None


async def test_a_shelf_that_is_away_is_no_answer(shelf: MemoryShelf, clock: FakeClock) -> None:
    shelf.down = True
    with pytest.raises(StoreError):
        await provisioned(shelf).known(*JEAN, clock())
    with pytest.raises(StoreError):
        await provisioned(shelf).remember(*JEAN, "", clock(), clock() + HOUR)
