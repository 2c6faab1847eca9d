"""The promise of a store: every store that there is has its four calls."""

from __future__ import annotations

import secrets

from proxy.crypto.seal import Sealer
from proxy.session.cookie import CookieStore
from proxy.session.store import Store
from tests.fakes.store import MemoryStore
from tests.session.samples import NOW


async def test_whoever_needs_a_store_takes_any() -> None:
    stores: list[Store] = [
        CookieStore(Sealer([bytes(range(32))], "session"), 3600),
        MemoryStore(lambda: secrets.token_urlsafe(32)),
    ]
    for store in stores:
        assert await store.load("nothing", NOW) is None
        await store.ready()
