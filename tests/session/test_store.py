"""The promise of a store: every store that there is keeps it, and a Kept shows nothing."""

from __future__ import annotations

from proxy.crypto.seal import Sealer
from proxy.crypto.ticket import Tickets
from proxy.session.cookie import CookieStore
from proxy.session.store import Kept, Store
from proxy.session.ticket import TicketStore
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import NOW, session
from tests.session.stores import CarryingStore, ForgettingStore

SECRETS = [bytes(range(32))]


async def test_whoever_needs_a_store_takes_any() -> None:
    shelf = MemoryShelf(FakeClock(NOW))
    stores: list[Store] = [
        CookieStore(Sealer(SECRETS, "session"), 3600, shelf, 60),
        TicketStore(shelf, Tickets(SECRETS), 3600, 0, lambda words: None, 60),
        ForgettingStore(shelf),
        CarryingStore(),
    ]
    for store in stores:
        kept = await store.save(session(), NOW)
        assert await store.load(kept.value, NOW) == kept
        assert bool(store.handle(kept.value)) is store.forgets
        await store.ready()


def test_a_value_is_not_shown() -> None:
    assert "VALUE" not in repr(Kept(session(), "VALUE"))
