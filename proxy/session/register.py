"""The register of sessions: begun, seen, found and ended here, whoever asks for it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Final

from proxy.model import Session
from proxy.session.cards import Card, Cards
from proxy.session.endings import SKEW, Ending, Endings
from proxy.session.shelf import Only, Shelf
from proxy.session.store import Store
from proxy.session.tokens import Token

_IN_FLIGHT: Final = 600.0
"""Seconds for which somebody may still have in hand what the store has forgotten."""


class Register:
    """Who is signed in, and the one place where sessions end.

    An ending is kept first, then told, then the session and its card go: whenever that is cut
    short, what should be over is over. ``max_per_person``: sessions of one person at once; 0 sets
    no limit. Everything raises StoreError; whatever has ended by then stays so, and ending again
    is fine.
    """

    def __init__(
        self, shelf: Shelf, store: Store, cards: Cards, endings: Endings, max_per_person: int
    ) -> None:
        self._shelf = shelf
        self._store = store
        self._cards = cards
        self._endings = endings
        self._max_per_person = max_per_person

    async def begin(
        self, session: Session, value: str, browser: str, address: str, now: float
    ) -> bool:
        """A session was saved; of too many of one person the oldest others end.

        False if it is over already, since all of that person's were ended meanwhile.
        """
        card = Card.of(session, self._store.handle(value), browser, address)
        await self._cards.put(card, now)
        if await self._endings.is_over(session, now):
            await self.end_card(card, now)
            return False
        await self._keep_to_the_limit(card, now)
        return True

    async def seen(self, session: Session, value: str, now: float) -> bool:
        """A session was used or refreshed, and the store has newer facts.

        False if it has ended meanwhile: it is ended again, as it is now.
        """
        card = Card.of(session, self._store.handle(value))
        known = await self._cards.get(card.sid, now)
        if known is not None:
            card = replace(card, browser=known.browser, address=known.address)
        await self._cards.put(card, now)
        # Asked last: whoever ends it from now on finds the new card.
        if await self._endings.is_over(session, now):
            await self.end_card(card, now)
            return False
        return True

    async def of_person(self, issuer: str, subject: str, now: float) -> list[Card]:
        """A person's sessions, the oldest first."""
        return await self._cards.of_person(issuer, subject, now)

    async def find(self, sid: str, now: float) -> Card | None:
        """The session with this public name."""
        return await self._cards.get(sid, now)

    def everybody(self, now: float) -> AsyncIterator[Card]:
        """All sessions, in no order."""
        return self._cards.all(now)

    async def end_session(self, session: Session, value: str, now: float) -> None:
        """End the session behind ``value``, by whoever holds it."""
        ending = await self._end(Card.of(session, self._store.handle(value)), now)
        if self._store.forgets:
            await self._endings.forget(ending, now + _IN_FLIGHT)

    async def end_card(self, card: Card, now: float) -> None:
        """End the session of a card."""
        # Remembered to its end: the store may have it under a newer handle than all cards.
        await self._end(card, now)

    async def end_person(self, issuer: str, subject: str, now: float, spared: str = "") -> int:
        """End all sessions of a person, but for the one with the id ``spared``.

        Returns how many were known; those without a card end as well.
        """
        ending = await self._endings.person(issuer, subject, now, spared)
        return await self._end_known(await self.of_person(issuer, subject, now), ending, now)

    async def end_provider_session(
        self, issuer: str, provider_sid: str, now: float, subject: str = ""
    ) -> int:
        """End what was begun within one session at the provider; see ``end_person``.

        With ``subject``, only if it is that person's (OpenID Connect Back-Channel Logout 1.0
        section 2.7).
        """
        if not provider_sid:
            return 0
        ending = await self._endings.provider_session(issuer, provider_sid, now, subject)
        found = await self._cards.of_provider_session(issuer, provider_sid, now)
        concerned = (card for card in found if subject in ("", card.subject))
        return await self._end_known(concerned, ending, now)

    async def end_everybody(self, now: float) -> int:
        """End every session; see ``end_person``."""
        ending = await self._endings.everybody(now)
        return sum(
            [await self._end_known([card], ending, now) async for card in self.everybody(now)]
        )

    async def end_token(self, token: Token, now: float) -> None:
        """Tell everybody that a token is good no more; see ``Keeping.revoke``."""
        await self._endings.token(token.session_id, max(token.expires_at, now) + SKEW)

    async def claim(self, kind: str, key: str, until: float) -> bool:
        """Was ``key``, any text, not claimed before? It is nobody else's until then."""
        return await self._shelf.put(_once(kind, key), b"1", until + SKEW, Only.ABSENT)

    async def claimed(self, kind: str, key: str) -> bool:
        """Has anybody claimed ``key``?"""
        [found] = await self._shelf.get(_once(kind, key))
        return found is not None

    async def _keep_to_the_limit(self, new: Card, now: float) -> None:
        if not self._max_per_person:
            return
        cards = await self._cards.of_person(new.issuer, new.subject, now)
        # Two that begin at once must not end one another: only what is older goes.
        older = [c for c in cards if c.sid != new.sid and c.created_at <= new.created_at]
        for card in older[: max(0, len(cards) - self._max_per_person)]:
            await self.end_card(card, now)

    async def _end_known(self, cards: Iterable[Card], ending: Ending, now: float) -> int:
        """End the sessions that ``ending`` is about; returns how many."""
        count = 0
        for card in cards:
            if card.session_id == ending.spared:
                continue
            if card.created_at > ending.before:  # by the clock of a replica that is ahead of ours
                await self.end_card(card, now)
            else:
                await self._remove(card)
            count += 1
        return count

    async def _end(self, card: Card, now: float) -> Ending:
        ending = await self._endings.session(card.session_id, card.created_at)
        newest = await self._cards.get(card.sid, now)
        if newest is not None and newest.handle != card.handle:
            await self._store.discard(newest.handle)
        await self._remove(card)
        return ending

    async def _remove(self, card: Card) -> None:
        await self._store.discard(card.handle)
        await self._cards.drop(card)


def _once(kind: str, key: str) -> str:
    name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"once:{kind}:{name}"
