"""People are remembered as they were, sealed, until it is too long ago."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.errors import StoreError
from proxy.model import Identity
from proxy.session.codec import pack
from proxy.session.people import People
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import HOUR, IDENTITIES, ISSUER, NOW, person

OLD, NEW = b"o" * 32, b"n" * 32


def people_on(shelf: MemoryShelf, *secrets: bytes) -> People:
    keys = secrets or (NEW,)
    return People(shelf, Sealer(keys, "person"), Pseudonyms(keys))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def shelf(clock: FakeClock) -> MemoryShelf:
    return MemoryShelf(clock)


@pytest.fixture
def people(shelf: MemoryShelf) -> People:
    return people_on(shelf)


async def test_known_as_they_were_and_since_when(people: People) -> None:
    jean = person(roles=("admin",), role="admin", groups_partial=True, claims={"idp_id": "7"})
    await people.remember(jean, NOW, NOW + HOUR)
    assert await people.known(ISSUER, "704e", NOW + 5) == (jean, NOW)
    assert await people.known(ISSUER, "other", NOW) is None
    assert await people.known("https://other.example", "704e", NOW) is None


async def test_the_newest_counts(people: People) -> None:
    await people.remember(person(groups=("a",)), NOW, NOW + HOUR)
    await people.remember(person(groups=("b",)), NOW + 9, NOW + HOUR)
    found = await people.known(ISSUER, "704e", NOW + 9)
    assert found == (person(groups=("b",)), NOW + 9)


async def test_nothing_is_left_in_the_end(
    people: People, shelf: MemoryShelf, clock: FakeClock
) -> None:
    await people.remember(person(), NOW, NOW + HOUR)
    assert len(shelf.left()) == 1
    clock.advance(HOUR)
    assert await people.known(ISSUER, "704e", clock()) is None
    assert shelf.left() == []
    await people.remember(person(), clock(), clock() + HOUR)
    await people.forget(ISSUER, "704e")
    assert shelf.left() == []


async def test_a_dump_names_nobody(people: People, shelf: MemoryShelf) -> None:
    await people.remember(person(claims={"siret": "13002526500013"}), NOW, NOW + HOUR)
    dump = shelf.dump()
    for word in (b"jean", b"704e", b"interieur", b"staff", b"DUPONT", b"13002526500013"):
        assert word not in dump


async def test_secrets_rotate(shelf: MemoryShelf) -> None:
    before, during, after = people_on(shelf, OLD), people_on(shelf, NEW, OLD), people_on(shelf, NEW)
    await before.remember(person(), NOW, NOW + HOUR)
    assert await during.known(ISSUER, "704e", NOW) == (person(), NOW)
    assert await after.known(ISSUER, "704e", NOW) is None
    await during.remember(person(groups=("c",)), NOW + 1, NOW + HOUR)
    assert await during.known(ISSUER, "704e", NOW + 1) == (person(groups=("c",)), NOW + 1)
    assert await after.known(ISSUER, "704e", NOW + 1) == (person(groups=("c",)), NOW + 1)
    await during.forget(ISSUER, "704e")
    assert shelf.left() == []


async def test_a_box_under_another_persons_name_is_nothing(
    people: People, shelf: MemoryShelf
) -> None:
    await people.remember(person(), NOW, NOW + HOUR)
    [key] = shelf.left()
    [box] = await shelf.get(key)
    await people.remember(person(subject="mallory"), NOW, NOW + HOUR)
    [other] = [each for each in shelf.left() if each != key]
    assert box is not None
    await shelf.put(other, box, NOW + HOUR)
    assert await people.known(ISSUER, "mallory", NOW) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="not packed"),
        pytest.param(pack({}), id="empty"),
        pytest.param(pack({"v": 1, "at": NOW, "who": None}), id="nobody"),
        pytest.param(pack({"v": 1, "at": NOW, "who": []}), id="a list"),
        pytest.param(pack({"v": 1, "at": "1", "who": {}}), id="an odd time"),
    ],
)
async def test_anything_else_is_nobody(shelf: MemoryShelf, data: bytes) -> None:
    people = people_on(shelf)
    await people.remember(person(), NOW, NOW + HOUR)
    [key] = shelf.left()
    await shelf.put(key, Sealer((NEW,), "person").seal(data, NOW).encode(), NOW + HOUR)
    assert await people.known(ISSUER, "704e", NOW) is None
    await shelf.put(key, b"\xff", NOW + HOUR)
    assert await people.known(ISSUER, "704e", NOW) is None


@given(IDENTITIES, st.floats(0, 1e11))
async def test_anybody_comes_back_whole(who: Identity, at: float) -> None:
    people = people_on(MemoryShelf(FakeClock(at)))
    await people.remember(who, at, at + HOUR)
    found = await people.known(who.issuer, who.subject, at)
    assert found is not None
    assert dataclasses.replace(found[0], claims=dict(found[0].claims)) == who
    assert found[1] == at


async def test_a_store_that_fails_is_not_a_stranger(people: People, shelf: MemoryShelf) -> None:
    shelf.down = True
    with pytest.raises(StoreError):
        await people.known(ISSUER, "704e", NOW)
    with pytest.raises(StoreError):
        await people.remember(person(), NOW, NOW + HOUR)
