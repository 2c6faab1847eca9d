"""A refresh token is used up once, and remembered with its family."""

from __future__ import annotations

import asyncio
import os

import pytest

from proxy.crypto.seal import Sealer
from proxy.errors import StoreError
from proxy.session.spent import Family, Spent
from proxy.session.tokens import Token
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf

TEXT = "apx_r" + "a" * 49


def token(end: float) -> Token:
    return Token("refresh", "curl", "https://idp.example", "alice", 0.0, end, family="login_1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shelf(clock: FakeClock) -> MemoryShelf:
    return MemoryShelf(clock)


@pytest.fixture
def spent(shelf: MemoryShelf) -> Spent:
    return Spent(shelf, Sealer([os.urandom(32)], "spent"))


async def test_of_many_one_uses_it_up(spent: Spent, clock: FakeClock) -> None:
    mine = token(clock() + 100)
    found = await asyncio.gather(*(spent.spend(TEXT, mine, clock()) for _ in range(10)))
    assert sorted(found) == [False] * 9 + [True]


async def test_the_family_is_known_afterwards(
    spent: Spent, shelf: MemoryShelf, clock: FakeClock
) -> None:
    assert await spent.family(TEXT, clock()) is None
    await spent.spend(TEXT, token(clock() + 100), clock())
    family = await spent.family(TEXT, clock())
    assert family == Family("https://idp.example", "alice", "login_1")
    for secret in (TEXT, "alice", "login_1"):
        assert secret.encode() not in shelf.dump()
    clock.advance(100)
    assert await spent.family(TEXT, clock()) is None


async def test_what_others_wrote_there_is_no_family(
    spent: Spent, shelf: MemoryShelf, clock: FakeClock
) -> None:
    await spent.spend(TEXT, token(clock() + 100), clock())
    (key,) = shelf.left()
    for value in (b"", b"\xff", b"AAAA"):
        await shelf.put(key, value, clock() + 100)
        assert await spent.family(TEXT, clock()) is None
        assert not await spent.spend(TEXT, token(clock() + 100), clock())


async def test_a_lost_shelf_uses_nothing_up(
    spent: Spent, shelf: MemoryShelf, clock: FakeClock
) -> None:
    shelf.down = True
    with pytest.raises(StoreError):
        await spent.spend(TEXT, token(clock() + 100), clock())
