"""All that keeps sessions, opened as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.config.keeping import Redis, SessionSettings
from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.crypto.ticket import Tickets
from proxy.session.cards import Cards
from proxy.session.cookie import CookieStore
from proxy.session.database import MEMORY
from proxy.session.endings import Endings
from proxy.session.locks import Locks
from proxy.session.people import People
from proxy.session.provisioned import Provisioned
from proxy.session.register import Register
from proxy.session.shelf import Shelf
from proxy.session.sqlite import SqliteShelf
from proxy.session.store import Store
from proxy.session.ticket import TicketStore
from proxy.session.tokens import Token, TokenStore

_LEAST_GRACE: Final = 60.0

Tell = Callable[[str], None]
"""Told in a sentence for the log what an operator should know."""


class KeepingSettings(Protocol):
    """The sections of the settings that count here."""

    @property
    def session(self) -> SessionSettings: ...
    @property
    def redis(self) -> Redis: ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Keeping:
    """The shelf, and all that lies on it; whoever opened it closes ``shelf``."""

    shelf: Shelf
    store: Store
    register: Register
    locks: Locks
    endings: Endings
    provisioned: Provisioned
    tokens: TokenStore
    people: People

    async def revoke(self, token: Token, now: float) -> None:
        """A token and its family are good no more, for everybody within a second. Raises
        StoreError: what is still to be found then can be revoked again."""
        # The given one comes last: it is what leads to the others.
        ending = [*await self._others(token, now), token]
        while ending:
            for each in ending:
                await self.register.end_token(each, now)
                await self.tokens.revoke(each, now)
            # Whoever was renewing it may have made more, before what it came of was gone.
            ending = await self._others(token, now)

    async def _others(self, token: Token, now: float) -> list[Token]:
        """The rest of its family."""
        if not token.family:
            return []
        known = await self.tokens.of_person(*token.owner, now)
        return [one for one in known if one.family == token.family and one.id != token.id]


def open_keeping(
    settings: KeepingSettings,
    whose: str,
    secrets: Sequence[bytes],
    clock: Callable[[], float],
    random: Callable[[int], bytes],
    tell: Tell,
    path: str = "",
) -> Keeping:
    """Everything on the shelf of ``settings``: Redis, else ``session.file``, else ``path``, else
    memory. Connects to nothing yet.

    ``whose`` they are: two installations that share a secret by mistake still do not share
    sessions. ``secrets``: 32 bytes each, newest first. ``random``: n → n random bytes. Raises
    ConfigError for options of Redis that cannot be used.
    """
    session = settings.session
    shelf = _shelf(settings, clock, tell, path)
    pseudonyms = Pseudonyms(secrets, f"index {whose}")

    def sealer(purpose: str) -> Sealer:
        return Sealer(secrets, f"{purpose} {whose}", random)

    cards = Cards(shelf, sealer("session-card"), pseudonyms, session.idle_timeout)
    endings = Endings(shelf, pseudonyms, session.lifetime)
    store = _store(session, shelf, secrets, whose, random, tell)
    register = Register(shelf, store, cards, endings, session.max_per_person)
    locks = Locks(shelf, clock, lambda: random(16).hex())
    provisioned = Provisioned(shelf, sealer("provisioned"), pseudonyms)
    tokens = TokenStore(shelf, sealer("token"), pseudonyms)
    people = People(shelf, sealer("person"), pseudonyms)
    return Keeping(shelf, store, register, locks, endings, provisioned, tokens, people)


def _shelf(settings: KeepingSettings, clock: Callable[[], float], tell: Tell, path: str) -> Shelf:
    if settings.redis.url:
        # Late: without a Redis, nobody waits for its library at the start.
        from proxy.session.redis import RedisShelf

        return RedisShelf(settings.redis, clock, tell, settings.session.cache)
    return SqliteShelf(settings.session.file or path or MEMORY, clock)


def _store(
    session: SessionSettings,
    shelf: Shelf,
    secrets: Sequence[bytes],
    whose: str,
    random: Callable[[int], bytes],
    tell: Tell,
) -> Store:
    grace = max(_LEAST_GRACE, 2 * session.refresh_every)
    if session.store == "cookie":
        return CookieStore(
            Sealer(secrets, f"session {whose}", random), session.lifetime, shelf, grace
        )
    # Keys of this installation's own: a ticket of another with the same secret is none of ours.
    keys = [bytes.fromhex(key) for key in Pseudonyms(secrets, f"ticket {whose}").of()]
    tickets = Tickets(keys, random)
    return TicketStore(shelf, tickets, session.lifetime, session.idle_timeout, tell, grace)
