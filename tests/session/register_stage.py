"""A register on a shelf in memory, and what else knows of its sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.model import Session
from proxy.session.cards import Cards
from proxy.session.endings import Endings
from proxy.session.register import Register
from proxy.session.store import Kept, Store
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import HOUR, ISSUER, NOW, session
from tests.session.stores import CarryingStore, ForgettingStore

LIFETIME = 12 * HOUR
IDLE = 4 * HOUR


@dataclass
class Stage:
    """A register, and what else knows of sessions. ``values`` are those that browsers hold."""

    clock: FakeClock
    shelf: MemoryShelf
    store: Store
    cards: Cards
    endings: Endings
    register: Register
    values: dict[str, Kept] = field(default_factory=dict)

    async def sign_in(self, name: str, **facts: Any) -> Session:
        now = self.clock()
        known: dict[str, Any] = {
            "created_at": now,
            "seen_at": now,
            "expires_at": now + LIFETIME,
            "id": name * 43,
        }
        kept = await self.store.save(session(**(known | facts)), now)
        self.values[name] = kept
        browser = f"browser {name}"
        await self.register.begin(kept.session, kept.value, browser, "192.0.2.7", now)
        return kept.session

    async def lives(self, name: str) -> bool:
        """As a request with its cookie would find it."""
        kept = await self.store.load(self.values[name].value, self.clock())
        return kept is not None and not await self.endings.is_over(kept.session, self.clock())

    async def living(self) -> str:
        return "".join([name for name in sorted(self.values) if await self.lives(name)])

    async def known(self, subject: str = "704e") -> str:
        """The names of a person's sessions, the oldest first."""
        cards = await self.register.of_person(ISSUER, subject, self.clock())
        return "".join(card.session_id[0] for card in cards)

    async def end(self, name: str) -> None:
        kept = self.values[name]
        await self.register.end_session(kept.session, kept.value, self.clock())

    def left(self) -> set[str]:
        """What kinds of things lie on the shelf."""
        return {key.partition(":")[0] for key in self.shelf.left()}


def set_up(forgets: bool, most: int = 0, secrets: tuple[bytes, ...] = (b"n" * 32,)) -> Stage:
    clock = FakeClock(NOW)
    shelf = MemoryShelf(clock)
    return on(shelf, clock, forgets, most, secrets)


def on(
    shelf: MemoryShelf, clock: FakeClock, forgets: bool, most: int, secrets: tuple[bytes, ...]
) -> Stage:
    store: Store = ForgettingStore(shelf) if forgets else CarryingStore()
    pseudonyms = Pseudonyms(secrets)
    cards = Cards(shelf, Sealer(secrets, "session-card"), pseudonyms, IDLE)
    endings = Endings(shelf, pseudonyms, LIFETIME)
    return Stage(clock, shelf, store, cards, endings, Register(shelf, store, cards, endings, most))
