"""The fake store keeps the promise of every store, and can be switched off."""

from __future__ import annotations

import secrets

import pytest

from proxy.errors import Reason, StoreError
from tests.fakes.store import MemoryStore
from tests.session.contract import RemembersDrops, StoreContract
from tests.session.samples import NOW, session


class TestMemoryStore(StoreContract, RemembersDrops):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore(lambda: secrets.token_urlsafe(32))

    async def test_a_store_that_is_down_says_so_every_time(self, store: MemoryStore) -> None:
        value = await store.save(session(), NOW)
        store.down = True
        for call in (
            store.load(value, NOW),
            store.save(session(), NOW),
            store.drop(value),
            store.ready(),
        ):
            with pytest.raises(StoreError) as caught:
                await call
            assert caught.value.reason is Reason.STORE_UNAVAILABLE
