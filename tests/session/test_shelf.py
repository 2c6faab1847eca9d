"""The promise of a shelf; tests/session/shelf_contract.py is the same as tests for each."""

from __future__ import annotations

import inspect
import os

import pytest

from proxy.config.keeping import Redis
from proxy.config.types import Secret
from proxy.session.redis import RedisShelf
from proxy.session.shelf import Shelf
from proxy.session.sqlite import SqliteShelf
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf

PROMISED = [name for name in vars(Shelf) if not name.startswith("_")]


def shelves() -> list[Shelf]:
    settings = Redis(url=(Secret("redis://127.0.0.1:1/0"),))
    clock = FakeClock()
    return [
        MemoryShelf(clock),
        SqliteShelf(os.devnull, clock),
        RedisShelf(settings, clock, lambda words: None, 1.0),
    ]


@pytest.mark.parametrize("shelf", shelves(), ids=lambda shelf: type(shelf).__name__)
@pytest.mark.parametrize("name", PROMISED)
def test_each_has_all_that_is_promised(shelf: Shelf, name: str) -> None:
    promised, there = getattr(Shelf, name), getattr(shelf, name)
    wanted = list(inspect.signature(promised).parameters)[1:]
    assert list(inspect.signature(there).parameters) == wanted
    assert shelf.trust > 0
